"""Networks in float16 between float32 ends: inputs are cast before a network, outputs after it.

Everything outside the networks stays in float32. The precision is in the tensors' types, so runtimes and builders need no
option. Batch normalisation is folded into convolutions in float64 first, so that variances and reciprocals never become
float16 and each folded weight is rounded once.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from operator import attrgetter, getitem
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate

from anomedge.pipelines.folded_networks import Networks
from anomedge.pipelines.folding import CONVOLUTIONS, Node
from anomedge.pipelines.model import Model
from anomedge.pipelines.networks import map_tensors

__all__ = [
    "IN_FLOAT32",
    "HalfNetwork",
    "halved",
]

_aten: Any = torch.ops.aten
# Sums of thousands of values or squares may exceed float16's range before they are divided or their root is taken.
_SUMS = {
    _aten._native_batch_norm_legit.no_stats,
    _aten.adaptive_avg_pool2d.default,
    _aten.group_norm.default,
    _aten.instance_norm.default,
    _aten.linalg_vector_norm.default,
    _aten.mean.default,
    _aten.mean.dim,
    _aten.native_group_norm.default,
    _aten.std.correction,
    _aten.std_mean.correction,
    _aten.sum.default,
    _aten.sum.dim_IntList,
    _aten.var.correction,
    _aten.var_mean.correction,
}
IN_FLOAT32 = _SUMS | {_aten.layer_norm.default, _aten.native_layer_norm.default}
"""Operators whose constants, such as the epsilon of a norm, are not rounded to float16: runtimes take them as attributes."""


class HalfNetwork(nn.Module):
    """A copy of a float32 network that computes in float16; inputs and outputs are float32.

    Args:
        graph: one of `folded_networks`; it is copied, not modified.
    """

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__()
        self.graph = copy.deepcopy(graph)
        nodes: list[Node] = list(self.graph.graph.nodes)
        for node in nodes:
            if node.target in CONVOLUTIONS and node.args[1].op == "get_attr":
                kernel = attrgetter(node.args[1].target)(self.graph)
                kernel.copy_(_round_keeping_sums(kernel.detach()))
        self.graph.half()
        for node in nodes:
            node.args, node.kwargs = map_aggregate(
                (node.args, node.kwargs), _half_type
            )
            if node.target in _SUMS:
                _sum_in_float32(self.graph, node)
        self.graph.recompile()

    def forward(self, *inputs: Any) -> Any:
        """Return the network's outputs in float32."""
        narrow = [map_tensors(_to_float16, each) for each in inputs]
        return map_tensors(_to_float32, self.graph(*narrow))


def halved(model: Model, networks: Networks) -> Model:
    """Return the model with its networks in float16; all other tensors are shared with the given model.

    Args:
        model: the fitted detector.
        networks: its `folded_networks`.
    """
    half = {name: HalfNetwork(graph) for name, graph in networks.items()}
    return replace(model, pipeline=model.pipeline.with_networks(half))


def _to_float16(x: Tensor) -> Tensor:
    return x.to(torch.float16) if x.is_floating_point() else x


def _to_float32(x: Tensor) -> Tensor:
    return x.to(torch.float32) if x.is_floating_point() else x


def _half_type(argument: Any) -> Any:
    return torch.float16 if argument is torch.float32 else argument


def _round_keeping_sums(kernel: Tensor) -> Tensor:
    """Round a kernel (O, I, ...) to float16; carry rounding errors on, so that the sum of each (...) is preserved.

    Kernels of depthwise convolutions often take differences. Their sum is nearly 0, and an error of the sum would be
    multiplied by the mean level of the picture. The largest values are rounded first, so that the remaining error is
    that of the smallest value.

    >>> _round_keeping_sums(torch.tensor([[[2049.0, -1025.1, -1023.9]]])).tolist()
    [[[2048.0, -1024.0, -1024.0]]]
    """
    values = kernel.flatten(2).double()
    order = values.abs().argsort(dim=2, descending=True, stable=True)
    ordered = values.gather(2, order)
    carried = torch.zeros_like(ordered[..., 0])
    for i in range(ordered.shape[2]):
        exact = ordered[..., i] + carried
        ordered[..., i] = exact.half().double()
        carried = exact - ordered[..., i]
    return values.scatter(2, order, ordered).reshape(kernel.shape).to(kernel)


def _sum_in_float32(module: fx.GraphModule, node: Node) -> None:
    """Cast a node's inputs to float32 and its outputs back to float16."""
    graph = module.graph

    def widened(operand: Node) -> Node:
        if not _is_float(module, operand):
            return operand
        with graph.inserting_before(node):
            return graph.call_function(_aten.to.dtype, (operand, torch.float32))

    node.args = fx.map_arg(node.args, widened)
    node.kwargs = fx.map_arg(node.kwargs, widened)
    parts = [user for user in node.users if user.target is getitem]
    for result in parts or [node]:
        with graph.inserting_after(result):
            narrow = graph.call_function(
                _aten.to.dtype, (result, torch.float16)
            )
        result.replace_all_uses_with(
            narrow,
            delete_user_cb=lambda user, narrow=narrow: user is not narrow,
        )


def _is_float(module: fx.GraphModule, operand: Node) -> bool:
    if operand.op == "get_attr":
        value = attrgetter(operand.target)(module)
    else:
        value = operand.meta.get("val")
    return isinstance(value, Tensor) and value.is_floating_point()
