r"""Store large tensors of statistics in INT8 by blocks; the graph computes in float32.

The values of a tensor, row after row, are divided into blocks b of `BLOCK`. With the largest magnitude m of a
block, its scale is :math:`s = m / 127`, each value x is stored as the byte :math:`q = \mathrm{round}(x / s) + 128`, and
the graph computes :math:`s (q - 128)`. The error of a value is at most s / 2, so small values beside large ones lose
precision, but not beyond their block. Blocks are as in GGML's Q8_0, which has 32 values; 64 take 6 % more than the bytes
instead of 12 %.

Bytes are unsigned because TensorRT takes signed ones before DequantizeLinear alone, which ONNX Runtime does not compute
on loading, but for each frame (11 ms instead of 3 ms for 45 MB).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from anomedge.errors import ExportError
from anomedge.export.precision.storage import WORTH_HALVING, is_of

__all__ = ["BLOCK", "quantised_blocks", "store_int8"]

BLOCK = 64
_LARGEST, _ZERO = 127, 128

Floats = npt.NDArray[np.float32]


def store_int8(proto: onnx.ModelProto, stored: Iterable[str]) -> None:
    """Store large float32 tensors in bytes; runtimes convert them to float32 once, on loading.

    Args:
        proto: the graph, edited in place.
        stored: names of the tensors of statistics, as the graph has them.

    Raises:
        ExportError: no tensor is large.
    """
    known = frozenset(stored)
    chosen = [
        tensor
        for tensor in proto.graph.initializer
        if _is_large(tensor) and is_of(known, tensor.name)
    ]
    if not chosen:
        raise ExportError(
            f"got int8-storage for a detector without large statistics; expected tensors of {WORTH_HALVING >> 10} KiB or more: "
            f"choose fp32, fp16-storage or int8"
        )
    nodes = [node for tensor in chosen for node in _replace(proto, tensor)]
    for node in reversed(nodes):
        proto.graph.node.insert(0, node)


def quantised_blocks(
    values: Floats,
) -> tuple[npt.NDArray[np.uint8], Floats]:
    """Return bytes (blocks, BLOCK) and scales (blocks, 1) of all values; the last block is filled with 0.

    >>> values = np.array([[0.0, 1.0], [-2.0, 0.0]], np.float32)
    >>> stored, scales = quantised_blocks(values)
    >>> stored.shape, stored[0, :4].tolist()
    ((1, 64), [128, 192, 1, 128])
    """
    filled = np.zeros(-(-values.size // BLOCK) * BLOCK, np.float32)
    filled[: values.size] = values.reshape(-1)
    blocks = filled.reshape(-1, BLOCK)
    scales = np.abs(blocks).max(axis=1, keepdims=True) / _LARGEST
    divisors = np.where(scales > 0, scales, 1)
    stored = np.rint(blocks / divisors) + _ZERO
    return stored.astype(np.uint8), scales.astype(np.float32)


def _is_large(tensor: TensorProto) -> bool:
    return (
        tensor.data_type == TensorProto.FLOAT
        and len(tensor.raw_data) >= WORTH_HALVING
        and len(tensor.dims) > 1
    )


def _replace(
    proto: onnx.ModelProto, tensor: TensorProto
) -> list[onnx.NodeProto]:
    """Replace a tensor by its bytes and scales; return the nodes that compute it."""
    name, values = tensor.name, numpy_helper.to_array(tensor)
    stored, scales = quantised_blocks(values)
    tensor.CopyFrom(numpy_helper.from_array(stored, f"{name}.bytes"))
    constants = {
        "zero": np.array(_ZERO, np.float32),
        "scales": scales,
        "row": np.array([-1]),
        "start": np.array([0]),
        "end": np.array([values.size]),
        "shape": np.array(values.shape),
    }
    proto.graph.initializer.extend(
        numpy_helper.from_array(value, f"{name}.{key}")
        for key, value in constants.items()
    )
    steps = [
        ("Cast", ["bytes"], "cast"),
        ("Sub", ["cast", "zero"], "centred"),
        ("Mul", ["centred", "scales"], "blocks"),
        ("Reshape", ["blocks", "row"], "filled"),
        ("Slice", ["filled", "start", "end"], "values"),
        ("Reshape", ["values", "shape"], ""),
    ]
    return [
        helper.make_node(
            operator,
            [f"{name}.{key}" for key in given],
            [f"{name}.{result}" if result else name],
            **({"to": TensorProto.FLOAT} if operator == "Cast" else {}),
        )
        for operator, given, result in steps
    ]
