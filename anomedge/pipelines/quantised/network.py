r"""A network with quantised products: convolutions and linear layers in INT8, everything else in float32.

A value :math:`x` is rounded to a grid of 255 steps around zero,

.. math:: q = \operatorname{clip}\big(\operatorname{round}(x / s), -128, 127\big), \qquad \hat x = s\, q

with one scale :math:`s` per input of a product, and one per output channel of its weights. Rounding is half to even and
the zero point is 0, which all runtimes have (ONNX QuantizeLinear and DequantizeLinear; Jacob et al. 2018,
arXiv:1712.05877). Eager Torch computes the product of the rounded values in float32; a runtime computes it in integers,
which is the same number before the scales.

Weights have the levels -127 to 127.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Any

import torch

# Registers the operators `quantized_decomposed`.
import torch.ao.quantization.fx._decomposed
from torch import Tensor, fx, nn

from anomedge.errors import ModelError
from anomedge.pipelines.folding import CONVOLUTIONS, Node

__all__ = ["LARGEST_LEVEL", "Product", "QuantisedNetwork", "products_of"]

LARGEST_LEVEL = 127
_aten: Any = torch.ops.aten
_qd: Any = torch.ops.quantized_decomposed
_PRODUCTS = CONVOLUTIONS | {_aten.linear.default}
_GRID = (0, -128, LARGEST_LEVEL, torch.int8)
_NO_BIAS = 1e-30
"""Bias of a product that has none; too small to change a sum.

OpenVINO 2026.4 gives zeros for a quantised convolution that reads an output of the graph, if that output comes from a
quantised convolution without bias and the batch is dynamic. It also drops a bias of zeros.
"""


class Product:
    """A convolution or linear layer with constant weights.

    Attributes:
        name: path of the weights, such as `blocks.0.conv.weight`; unique in the network.
        node: its node; the first argument is the input, the second one the weights.
    """

    def __init__(self, name: str, node: Node) -> None:
        self.name = name
        self.node = node

    @property
    def source(self) -> Node:
        """Node of the input."""
        return self.node.args[0]

    def weights(self, network: nn.Module) -> Tensor:
        """Return the weights, output channels first."""
        values: Tensor = attrgetter(self.node.args[1].target)(network)
        return values.detach()


def products_of(network: fx.GraphModule) -> Iterator[Product]:
    """Yield the products that can be quantised, in order of computation.

    The name does not depend on the release of torch that traced the network. A weight that several products read is
    named once for each, with a number.
    """
    seen: dict[str, int] = {}
    for node in network.graph.nodes:
        if node.target not in _PRODUCTS or node.args[1].op != "get_attr":
            continue
        path = str(node.args[1].target).removesuffix("_folded")
        count = seen[path] = seen.get(path, 0) + 1
        yield Product(path if count == 1 else f"{path}#{count}", node)


class QuantisedNetwork(nn.Module):
    """A copy of a float32 network whose products have quantised inputs and weights.

    Args:
        graph: one of `folded_networks`; it is not modified, and tensors that are not quantised are shared.
        scales: s of the input of each quantised product, by name; other products stay in float32.
        original: the float network that the graph was traced from, for the model file.

    Raises:
        ModelError: a scale of a product that the network does not have.
    """

    def __init__(
        self,
        graph: fx.GraphModule,
        scales: Mapping[str, float],
        original: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.graph = fx.GraphModule(graph, copy.deepcopy(graph.graph))
        self.scales = dict(scales)
        # In a tuple: its tensors are none of this network's.
        self._original = (graph if original is None else original,)
        products = list(products_of(self.graph))
        _refuse_unknown(self.scales, products)
        inputs: dict[tuple[str, float], Node] = {}
        for product in products:
            if product.name in self.scales:
                self._quantise(product, inputs)
        self.graph.graph.eliminate_dead_code()
        # A new module holds only the tensors that the graph reads.
        self.graph = fx.GraphModule(self.graph, self.graph.graph)

    @property
    def original(self) -> nn.Module:
        """The float network."""
        return self._original[0]

    def forward(self, *inputs: Any) -> Any:
        """Return the network's outputs."""
        return self.graph(*inputs)

    def _rounded_input(self, source: Node, scale: float) -> Node:
        graph = self.graph.graph
        with graph.inserting_after(source):
            quantised = graph.call_function(
                _qd.quantize_per_tensor.default, (source, scale, *_GRID)
            )
        with graph.inserting_after(quantised):
            return graph.call_function(
                _qd.dequantize_per_tensor.default, (quantised, scale, *_GRID)
            )

    def _quantise(
        self, product: Product, inputs: dict[tuple[str, float], Node]
    ) -> None:
        """Quantise a product; `inputs` has the rounded inputs so far, which several products may read."""
        scale = self.scales[product.name]
        key = (product.source.name, scale)
        if key not in inputs:
            inputs[key] = self._rounded_input(product.source, scale)
        weights = self._rounded_weights(product)
        bias = self._bias(product, len(product.weights(self.graph)))
        product.node.args = (
            inputs[key],
            weights,
            bias,
            *product.node.args[3:],
        )

    def _bias(self, product: Product, channels: int) -> Node:
        """Return the product's bias; a negligible one if it is absent or all zeros."""
        args = product.node.args
        given = args[2] if len(args) > 2 else None
        if given is not None:
            if given.op != "get_attr":
                return given
            if attrgetter(given.target)(self.graph).any():
                return given
        name = f"quantised_{_as_attribute(product.name)}_bias"
        self.graph.register_buffer(name, torch.full((channels,), _NO_BIAS))
        with self.graph.graph.inserting_before(product.node):
            return self.graph.graph.get_attr(name)

    def _rounded_weights(self, product: Product) -> Node:
        levels, scales = quantised_weights(product.weights(self.graph))
        graph = self.graph.graph
        stem = f"quantised_{_as_attribute(product.name)}"
        zeros = torch.zeros(len(scales), dtype=torch.int64)
        values = {"levels": levels, "scales": scales, "zeros": zeros}
        for name, tensor in values.items():
            self.graph.register_buffer(f"{stem}_{name}", tensor)
        with graph.inserting_before(product.node):
            constants = [graph.get_attr(f"{stem}_{name}") for name in values]
            return graph.call_function(
                _qd.dequantize_per_channel.default,
                (*constants, 0, *_GRID[1:]),
            )


def _as_attribute(name: str) -> str:
    return name.replace(".", "_").replace("#", "_")


def _refuse_unknown(
    scales: Mapping[str, float], products: list[Product]
) -> None:
    known = {product.name for product in products}
    if unknown := sorted(set(scales) - known):
        raise ModelError(
            f"got the quantised layer {unknown[0]}, which the network does not have; expected some of its {len(known)}: "
            f"quantise the float model again"
        )


def quantised_weights(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the levels of weights (O, ...) as int8 and the scale of each output channel, (O,).

    >>> levels, scales = quantised_weights(torch.tensor([[1.0, -0.5], [0.0, 0.0]]))
    >>> levels.tolist(), (scales[0] * 127).item()
    ([[127, -64], [0, 0]], 1.0)
    """
    largest = weights.flatten(1).abs().amax(dim=1).double()
    scales = torch.where(largest > 0, largest, 1.0) / LARGEST_LEVEL
    scales = scales.float()
    column = scales.reshape(-1, *[1] * (weights.ndim - 1))
    levels = (weights / column).round().clamp(-LARGEST_LEVEL, LARGEST_LEVEL)
    return levels.to(torch.int8), scales
