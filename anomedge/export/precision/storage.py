"""Store large tensors of a graph in float16."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from anomedge.bundle.ranges import LARGEST, LEAST
from anomedge.errors import ExportError

__all__ = [
    "WORTH_HALVING",
    "is_of",
    "store_halved",
    "too_small",
]

WORTH_HALVING = 1 << 16
"""Smallest size in bytes of a tensor that is stored in float16."""
_DERIVED = re.compile(r"(\.packed|\.selected\d+)$")
"""Suffixes that graph passes add to the name of a tensor of which they keep a part."""


def store_halved(proto: onnx.ModelProto, stored: Iterable[str]) -> None:
    """Store the model's large float32 tensors in float16 and convert them with a Cast; products stay in float32.

    Runtimes fold the Cast once, on loading. Vectors, such as norms and biases, and the constant matrices of resampling
    stay in float32: they are small, and an error in them is the same in every pixel. A tensor whose values are all below
    float16's normal range stays in float32 too.

    Args:
        proto: the graph, edited in place.
        stored: names of the tensors that the model stores, as the graph has them.

    Raises:
        ExportError: a number lies outside float16's range.
    """
    known = frozenset(stored)
    casts = []
    for tensor in proto.graph.initializer:
        large = (
            tensor.data_type == TensorProto.FLOAT
            and len(tensor.raw_data) >= WORTH_HALVING
        )
        if large and len(tensor.dims) > 1 and is_of(known, tensor.name):
            name, values = tensor.name, numpy_helper.to_array(tensor)
            if too_small(float(np.abs(values).max(initial=0.0))):
                continue
            tensor.CopyFrom(
                numpy_helper.from_array(_halved(name, values), f"{name}.half")
            )
            casts.append(
                helper.make_node(
                    "Cast",
                    [tensor.name],
                    [name],
                    name=f"{name}.cast",
                    to=TensorProto.FLOAT,
                )
            )
    for node in reversed(casts):
        proto.graph.node.insert(0, node)


def too_small(largest: float) -> bool:
    """Return True if a tensor of this largest magnitude is below float16's normal range.

    >>> too_small(3.7e-9), too_small(0.5), too_small(0.0)
    (True, False, False)
    """
    return 0 < largest < LEAST


def is_of(stored: frozenset[str], name: str) -> bool:
    """Return True for a stored tensor, or a part of one that a graph pass kept.

    >>> [is_of(frozenset({"w1"}), name) for name in ("w1", "w1.selected3.packed", "w10", "w1_bias")]
    [True, True, False, False]
    """
    while name not in stored and _DERIVED.search(name):
        name = _DERIVED.sub("", name)
    return name in stored


def _halved(name: str, values: np.ndarray) -> np.ndarray:
    largest = float(np.abs(values).max(initial=0.0))
    if not largest <= LARGEST:
        raise ExportError(
            f"{name} holds {largest:.4g}; expected at most {LARGEST:.0f}, float16's largest: export in fp32 alone"
        )
    return values.astype(np.float16)
