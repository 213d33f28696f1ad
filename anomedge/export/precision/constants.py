"""Constants of networks in float16: the ranges of weights, and constants that would become zero or infinite."""

from __future__ import annotations

import math
from operator import attrgetter

import torch
from torch import Tensor, fx

from anomedge.bundle.ranges import LARGEST, Range
from anomedge.errors import ExportError
from anomedge.export.precision.bounds import finite, largest, stored
from anomedge.export.precision.half import IN_FLOAT32
from anomedge.export.precision.observed import SHOWN
from anomedge.export.precision.storage import too_small
from anomedge.pipelines.folded_networks import layer_of

__all__ = ["assert_no_constant_vanishes", "weight_ranges"]

_PRODUCTS = {
    "addmm",
    "bmm",
    "conv1d",
    "conv2d",
    "conv_transpose2d",
    "linear",
    "matmul",
    "mm",
}
_NORMS = {
    "group_norm",
    "layer_norm",
    "native_group_norm",
    "native_layer_norm",
}


def weight_ranges(network: fx.GraphModule, prefix: str = "") -> list[Range]:
    """Return the ranges of the tensors with the largest values and of those whose values are too small for float16."""
    magnitudes = {}
    for node in network.graph.find_nodes(op="get_attr"):
        tensor = attrgetter(node.target)(network)
        if tensor.is_floating_point():
            name = f"{prefix}{node.target}"
            magnitudes[name] = finite(name, largest(tensor))
    by_value = sorted(magnitudes.items(), key=lambda item: -item[1])
    vanishing = [item for item in magnitudes.items() if too_small(item[1])]
    ranges = []
    for name, value in by_value[:SHOWN]:
        if not too_small(value):
            ranges.append(stored("backbone", name, value))
    for name, value in vanishing[:SHOWN]:
        ranges.append(stored("backbone", name, value, least=value))
    return ranges


def assert_no_constant_vanishes(network: fx.GraphModule) -> None:
    """Refuse constants that float16 would round to zero or infinity, such as the 1e-12 that protects a divisor.

    A number among an operator's arguments is checked if the operator computes in float16. A stored tensor is checked if
    all of it would become zero, except for weights of products, and weights and biases of norms: their contribution is as
    small, and their range reports it. A norm that was trained for a short time has biases of 1e-10.

    Raises:
        ExportError: such a constant.
    """
    for node in network.graph.nodes:
        if node.op == "call_function" and node.target not in IN_FLOAT32:
            for argument in (*node.args, *node.kwargs.values()):
                if isinstance(argument, float):
                    _assert_in_float16(layer_of(node), abs(argument))
        elif node.op == "get_attr" and not _is_weight(node):
            value = _largest_of_floats(attrgetter(node.target)(network))
            _assert_in_float16(node.target, value)


def _is_weight(node: fx.Node) -> bool:
    """Return whether a tensor is only an operand of products, and a weight or bias of norms."""
    return all(
        _operator(user) in _PRODUCTS
        or (_operator(user) in _NORMS and node is not user.args[0])
        for user in node.users
    )


def _assert_in_float16(name: str, constant: float) -> None:
    # Zero and infinity are exact in float16.
    exact = constant == 0 or not math.isfinite(constant)
    if not exact and not 0 < float(torch.tensor(constant).half()) < math.inf:
        raise ExportError(
            f"{name} computes with {constant:g}, which float16 does not have; expected magnitudes from 6e-8 to "
            f"{LARGEST:.0f}: export without fp16; fp16-storage computes in float32"
        )


def _largest_of_floats(x: Tensor) -> float:
    return largest(x) if x.is_floating_point() else 0.0


def _operator(node: fx.Node) -> str:
    packet = getattr(node.target, "overloadpacket", None)
    return str(getattr(packet, "__name__", ""))
