"""Store only the elements of a tensor that are not zero in every patch: triangular matrices take half their bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from anomedge.export.passes.base import Pass

__all__ = ["PACKED_BELOW", "WORTH_PACKING", "PackZeros"]

WORTH_PACKING = 1 << 16
"""Smallest size in bytes of a tensor that is packed."""

PACKED_BELOW = 0.9
"""Largest share of elements in use of a tensor that is packed."""


class PackZeros(Pass):
    """Replace a tensor (P, n, m) by (P, k + 1), its k elements in use and one zero, and a Gather that unpacks it.

    Runtimes fold constants, so they unpack once, on loading. The Gather's indices (n, m) give the tensor its shape: a
    Reshape after it would be folded into a second copy of all values.

    Ensures: values are unchanged bit for bit, except for the sign of zeros.
    """

    name = "pack_zeros"
    after = ("select_channels_early",)

    def rewrite(self, model: onnx.ModelProto) -> bool:
        """Pack every large tensor with enough zeros."""
        graph = model.graph
        unpacking: list[onnx.NodeProto] = []
        for tensor in list(graph.initializer):
            if len(tensor.dims) != 3 or len(tensor.raw_data) < WORTH_PACKING:
                continue
            values = numpy_helper.to_array(tensor)
            used = (values != 0).any(axis=0)
            if used.mean() < PACKED_BELOW:
                unpacking += _pack(graph, tensor, values, used)
        for node in reversed(unpacking):
            graph.node.insert(0, node)
        return bool(unpacking)


def _pack(
    graph: onnx.GraphProto,
    tensor: onnx.TensorProto,
    values: npt.NDArray[Any],
    used: npt.NDArray[np.bool_],
) -> Iterator[onnx.NodeProto]:
    """Replace a tensor by its packed elements; yield the node that unpacks it."""
    name, count = tensor.name, int(used.sum())
    places = np.full(used.shape, count, dtype=np.int64)
    places[used] = np.arange(count)
    zero = np.zeros((len(values), 1), values.dtype)
    packed = np.concatenate([values[:, used], zero], axis=1)
    tensor.CopyFrom(numpy_helper.from_array(packed, f"{name}.packed"))
    graph.initializer.append(numpy_helper.from_array(places, f"{name}.places"))
    yield helper.make_node(
        "Gather",
        [f"{name}.packed", f"{name}.places"],
        [name],
        name=f"{name}.unpack",
        axis=1,
    )
