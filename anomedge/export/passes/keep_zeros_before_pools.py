"""Pad with the smallest positive number, instead of zero, before a MaxPool, as in BiT's ResNets.

ONNX Runtime, 1.31 among others, fuses a Pad with zeros into the MaxPool behind it, whose own padding is minus infinity. If
all values of a window at the border are negative, the fused node returns another maximum. It fuses zeros only.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import helper, numpy_helper

from anomedge.errors import ExportError
from anomedge.export.graphs import drop_unused
from anomedge.export.passes.base import Pass

__all__ = ["KeepZerosBeforePools"]

_FLOATS = frozenset({onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16})


class KeepZerosBeforePools(Pass):
    """Replace the padding value zero before a MaxPool by the smallest normal number.

    A Pad that another node reads too is left as it is, because ONNX Runtime does not fuse it.

    Requires: the type of every Pad without a value that only MaxPools read.
    Ensures: values are unchanged, except for a maximum of zero at the border, which becomes 1e-38 (6e-5 in float16).
    """

    name = "keep_zeros_before_pools"

    def requires(self, model: onnx.ModelProto) -> None:
        """Raise ExportError if the type of such a Pad is unknown."""
        types = _types(model.graph)
        for pad in _pads_before_pools(model.graph):
            if not any(pad.input[2:3]) and pad.output[0] not in types:
                raise ExportError(
                    f"node {pad.name}: got a Pad of unknown type; expected the types that torch writes: "
                    f"run keep_zeros_before_pools before passes that remove them"
                )

    def rewrite(self, model: onnx.ModelProto) -> bool:
        """Replace the padding values; remove constants that are not read any more."""
        graph, changed = model.graph, False
        constants = {tensor.name: tensor for tensor in graph.initializer}
        types = _types(graph)
        for pad in _pads_before_pools(graph):
            value = constants.get(pad.input[2]) if len(pad.input) > 2 else None
            is_default = not any(pad.input[2:3])
            kind = 0
            if is_default:
                kind = types.get(pad.output[0], 0)
            elif value is not None:
                kind = value.data_type
            if kind in _FLOATS and _is_zero(value):
                _set_value(graph, pad, kind)
                changed = True
        return drop_unused(model) or changed


def _pads_before_pools(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield every Pad with a constant that only MaxPools read."""
    pooled, others = set(), set()
    for node in graph.node:
        if node.op_type == "MaxPool":
            pooled.add(node.input[0])
        else:
            others.update(node.input)
    for node in graph.node:
        is_pad = node.op_type == "Pad" and _mode(node) == b"constant"
        if is_pad and (pooled - others).intersection(node.output):
            yield node


def _types(graph: onnx.GraphProto) -> dict[str, int]:
    values = (*graph.value_info, *graph.output)
    return {value.name: value.type.tensor_type.elem_type for value in values}


def _is_zero(value: onnx.TensorProto | None) -> bool:
    return value is None or not numpy_helper.to_array(value).any()


def _set_value(graph: onnx.GraphProto, pad: onnx.NodeProto, kind: int) -> None:
    """Give a Pad the smallest normal number of its type as value."""
    name = f"{pad.output[0]}.least"
    least = np.finfo(helper.tensor_dtype_to_np_dtype(kind)).tiny
    constant = numpy_helper.from_array(np.asarray(least), name)
    graph.initializer.append(constant)
    axes = list(pad.input[3:])
    del pad.input[2:]
    pad.input.extend([name, *axes])


def _mode(pad: onnx.NodeProto) -> bytes:
    for attribute in pad.attribute:
        if attribute.name == "mode":
            return bytes(attribute.s)
    return b"constant"
