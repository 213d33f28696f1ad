"""The precisions in which a graph is written; one entry each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from anomedge.bundle.ranges import LARGEST, LEAST
from anomedge.errors import ExportError

__all__ = [
    "PRECISIONS",
    "WORTH_HALVING",
    "Precision",
    "file_name",
    "store_halved",
    "too_small",
]

WORTH_HALVING = 1 << 16
"""Bytes below which a tensor stays as it is."""
_DERIVED = re.compile(r"(\.packed|\.selected\d+)$")
"""What the rewritings put behind the name of a tensor that they made a part of."""

Edit = Callable[[onnx.ModelProto, Iterable[str]], None]


@dataclass(frozen=True)
class Precision:
    """What is done to get there.

    Attributes:
        half_backbone: the graph is traced with the backbone in float16.
        edit: what is done to the traced graph, in place, given the names of the tensors that the model stores.
    """

    half_backbone: bool = False
    edit: Edit = lambda *_: None


def store_halved(proto: onnx.ModelProto, stored: Iterable[str]) -> None:
    """Keep the detector's large float32 tensors in float16, behind a Cast; what is computed with them stays in float32.

    Runtimes undo the Cast once, when they load the graph. Vectors, such as norms and biases, and the constant matrices of
    resampling stay as they are: they are small, and an error in them is the same in every pixel. So does a tensor whose
    numbers are all too small for float16, which would make zero of them or keep a few bits.

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
        if large and len(tensor.dims) > 1 and _is_of(known, tensor.name):
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
    """Would float16 keep fewer digits than it has, or none, of a tensor whose largest magnitude this is?

    >>> too_small(3.7e-9), too_small(0.5), too_small(0.0)
    (True, False, False)
    """
    return 0 < largest < LEAST


def _is_of(stored: frozenset[str], name: str) -> bool:
    """Is it a stored tensor, or the part of one that a rewriting left?

    >>> [_is_of(frozenset({"w1"}), name) for name in ("w1", "w1.selected3.packed", "w10", "w1_bias")]
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


PRECISIONS: dict[str, Precision] = {
    "fp32": Precision(),
    "fp16-storage": Precision(edit=store_halved),
    "fp16": Precision(half_backbone=True, edit=store_halved),
}


def file_name(stem: str, precision: str, suffix: str) -> str:
    """The file of a precision; plain float32 has the plain name.

    >>> file_name("model", "fp32", ".onnx"), file_name("model", "fp16-storage", ".onnx")
    ('model.onnx', 'model.fp16-storage.onnx')
    """
    return stem + ("" if precision == "fp32" else f".{precision}") + suffix
