r"""A network with quantised products: convolutions and linear layers in INT8, everything else in float32.

A value :math:`x` is rounded to a grid of 255 steps around zero,

.. math:: q = \operatorname{clip}\big(\operatorname{round}(x / s), -128, 127\big), \qquad \hat x = s\, q

with one scale :math:`s` per input of a product, and one per output channel of its weights. Rounding is half to even and
the zero point is 0, which all runtimes have (ONNX QuantizeLinear and DequantizeLinear; Jacob et al. 2018,
arXiv:1712.05877). Eager Torch and ONNX Runtime compute the product of the rounded values in float32, OpenVINO and TensorRT
in integers; the scales make both the same number, see `anomedge.pipelines.quantised.scales`.

Weights have the levels -127 to 127. The bias is rounded to multiples of the product of both scales, as integer kernels
do (and ONNX Runtime, without being asked).
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
from anomedge.pipelines.quantised.scales import (
    LARGEST_FINE_LEVEL,
    LARGEST_LEVEL,
    is_short,
    levels_of,
    on_grid,
    weight_scales,
)

__all__ = ["Product", "QuantisedNetwork", "products_of"]

_aten: Any = torch.ops.aten
_qd: Any = torch.ops.quantized_decomposed
_PRODUCTS = CONVOLUTIONS | {_aten.linear.default}
_RECTIFIERS = {_aten.relu.default, _aten.hardtanh.default, _aten.clamp.default}
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
        fine: s of the input of products in float32 that have finer grids, by name.

    Raises:
        ModelError: a scale of a product that the network does not have, or one that is not short.
    """

    def __init__(
        self,
        graph: fx.GraphModule,
        scales: Mapping[str, float],
        original: nn.Module | None = None,
        fine: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.graph = fx.GraphModule(graph, copy.deepcopy(graph.graph))
        self.scales, self.fine = dict(scales), dict(fine or {})
        # In a tuple: its tensors are none of this network's.
        self._original = (graph if original is None else original,)
        products = list(products_of(self.graph))
        _refuse_unknown(self.scales | self.fine, products)
        _refuse_long(self.scales | self.fine)
        inputs: dict[tuple[str, float], Node] = {}
        for product in products:
            if product.name in self.scales or product.name in self.fine:
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

    def _rounded_input(self, product: Product, scale: float) -> Node:
        """Return the input of a product on its grid."""
        graph, source = self.graph.graph, product.source
        if _joins(source):
            source = self._bounded(product, scale)
        with graph.inserting_after(source):
            quantised = graph.call_function(
                _qd.quantize_per_tensor.default, (source, scale, *_GRID)
            )
        with graph.inserting_after(quantised):
            return graph.call_function(
                _qd.dequantize_per_tensor.default, (quantised, scale, *_GRID)
            )

    def _bounded(self, product: Product, scale: float) -> Node:
        """Return the larger one of the input and the lowest level.

        No value changes by that, because it would be clipped there anyway. OpenVINO 2026.4 quantises the parts of a concatenation
        more coarsely, if the concatenation alone stands before the rounding.
        """
        graph = self.graph.graph
        lowest = torch.tensor(-128.0 * scale)
        with graph.inserting_after(product.source):
            constant = self._constant(product, "lowest", lowest)
        with graph.inserting_after(constant):
            return graph.call_function(
                _aten.maximum.default, (product.source, constant)
            )

    def _quantise(
        self, product: Product, inputs: dict[tuple[str, float], Node]
    ) -> None:
        """Round input, weights and bias of a product; `inputs` has the rounded inputs so far, which several products may read."""
        is_fine = product.name in self.fine
        scale = (self.fine if is_fine else self.scales)[product.name]
        rounded = self._finely_rounded_input if is_fine else self._rounded_input
        key = (product.source.name, scale)
        if key not in inputs:
            inputs[key] = rounded(product, scale)
        bias, weights = (
            self._constant_bias(product),
            product.weights(self.graph),
        )
        largest = LARGEST_FINE_LEVEL if is_fine else LARGEST_LEVEL
        scales = weight_scales(weights, bias, scale, largest)
        levels = levels_of(weights, scales, largest)
        constant = self._fine_weights if is_fine else self._rounded_weights
        product.node.args = (
            inputs[key],
            constant(product, levels, scales),
            self._rounded_bias(product, bias, scale * scales),
            *product.node.args[3:],
        )

    def _finely_rounded_input(self, product: Product, scale: float) -> Node:
        """Return the input of a product in float32 on its grid, which has no ends."""
        graph = self.graph.graph
        # Every runtime multiplies by the same reciprocal.
        constants = {"reciprocal": 1.0 / scale, "step": scale}
        with graph.inserting_before(product.node):
            reciprocal, step = (
                self._constant(product, name, torch.tensor(value))
                for name, value in constants.items()
            )
            levels = graph.call_function(
                _aten.mul.Tensor, (product.source, reciprocal)
            )
            rounded = graph.call_function(_aten.round.default, (levels,))
            return graph.call_function(_aten.mul.Tensor, (rounded, step))

    def _constant_bias(self, product: Product) -> Tensor | None:
        """Return the bias (O,) of a product; None if it has none, or one that is computed."""
        args = product.node.args
        given = args[2] if len(args) > 2 else None
        if given is None or given.op != "get_attr":
            return None
        values: Tensor = attrgetter(given.target)(self.graph)
        return values.detach()

    def _rounded_bias(
        self, product: Product, bias: Tensor | None, units: Tensor
    ) -> Node:
        """Return the bias on the grid of the sum; a negligible one if it is absent or all zeros, a computed one as it is."""
        args = product.node.args
        if bias is None and len(args) > 2 and args[2] is not None:
            return args[2]
        values = (
            torch.zeros_like(units) if bias is None else on_grid(bias, units)
        )
        if not values.any():
            values = torch.full_like(units, _NO_BIAS)
        with self.graph.graph.inserting_before(product.node):
            return self._constant(product, "bias", values)

    def _rounded_weights(
        self, product: Product, levels: Tensor, scales: Tensor
    ) -> Node:
        zeros = torch.zeros(len(scales), dtype=torch.int64)
        bytes_ = levels.to(torch.int8)
        values = {"levels": bytes_, "scales": scales, "zeros": zeros}
        graph = self.graph.graph
        with graph.inserting_before(product.node):
            constants = [
                self._constant(product, name, tensor)
                for name, tensor in values.items()
            ]
            return graph.call_function(
                _qd.dequantize_per_channel.default,
                (*constants, 0, *_GRID[1:]),
            )

    def _fine_weights(
        self, product: Product, levels: Tensor, scales: Tensor
    ) -> Node:
        column = scales.reshape(-1, *[1] * (levels.ndim - 1))
        with self.graph.graph.inserting_before(product.node):
            return self._constant(product, "weights", levels * column)

    def _constant(self, product: Product, kind: str, values: Tensor) -> Node:
        name = f"quantised_{_as_attribute(product.name)}_{kind}"
        self.graph.register_buffer(name, values)
        return self.graph.graph.get_attr(name)


def _joins(node: Node) -> bool:
    """Return whether a value is a concatenation, or one without its negative values."""
    while node.target in _RECTIFIERS:
        node = node.args[0]
    return node.target is _aten.cat.default


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


def _refuse_long(scales: Mapping[str, float]) -> None:
    for name, scale in scales.items():
        if not is_short(scale):
            raise ModelError(
                f"got the scale {scale:g} of the quantised layer {name}; expected a power of two, or 1.5 times one: the file is of an "
                f"earlier release, so quantise the float model again"
            )
