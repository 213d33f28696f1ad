"""The precisions in which a graph is written; one entry each."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from anomedge.errors import ExportError

__all__ = ["PRECISIONS", "file_name", "store_halved"]

_WORTH_HALVING = 1 << 16
"""Bytes below which a tensor stays as it is."""

Edit = Callable[[onnx.ModelProto, Iterable[str]], None]


def store_halved(proto: onnx.ModelProto, stored: Iterable[str]) -> None:
    """Keep the detector's large tensors in float16, behind a Cast to float32; every computation stays in float32.

    Runtimes undo the Cast once, when they load the graph. Vectors, such as norms and biases, and the constant matrices of
    resampling stay as they are: they are small, and an error in them is the same in every pixel.

    Args:
        proto: the graph, edited in place.
        stored: names of the tensors that the model stores, as the graph has them.

    Raises:
        ExportError: a number lies outside float16's range.
    """
    prefixes = tuple(stored)
    casts = []
    for tensor in proto.graph.initializer:
        large = tensor.data_type == TensorProto.FLOAT and len(tensor.raw_data) >= _WORTH_HALVING
        if large and len(tensor.dims) > 1 and tensor.name.startswith(prefixes):
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(_halved(name, numpy_helper.to_array(tensor)), f"{name}.half"))
            casts.append(helper.make_node("Cast", [tensor.name], [name], name=f"{name}.cast", to=TensorProto.FLOAT))
    for node in reversed(casts):
        proto.graph.node.insert(0, node)


def _halved(name: str, values: np.ndarray) -> np.ndarray:
    largest = float(np.abs(values).max(initial=0.0))
    if not largest <= float(np.finfo(np.float16).max):
        raise ExportError(
            f"{name} holds {largest:.4g}; expected at most 65504, float16's largest: export without fp16-storage"
        )
    return values.astype(np.float16)


PRECISIONS: dict[str, Edit] = {"fp32": lambda *_: None, "fp16-storage": store_halved}
"""What is done to the float32 graph, given the names of the tensors that the model stores."""


def file_name(stem: str, precision: str, suffix: str) -> str:
    """The file of a precision; plain float32 has the plain name.

    >>> file_name("model", "fp32", ".onnx"), file_name("model", "fp16-storage", ".onnx")
    ('model.onnx', 'model.fp16-storage.onnx')
    """
    return stem + ("" if precision == "fp32" else f".{precision}") + suffix
