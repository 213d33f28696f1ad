"""Infer the shapes of a graph's values with onnx, within bounded memory because the file is untrusted."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx.shape_inference
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

__all__ = ["SAFE_PATH", "content_of", "inferred", "inner_graphs"]

Array = npt.NDArray[Any]

_LONGEST = 1 << 16  # elements of a value that shape inference may propagate
_COUNTING = frozenset({TensorProto.INT64, TensorProto.INT32})
SAFE_PATH = {"PYTHONSAFEPATH": "1"}
"""Environment that keeps a worker from importing from its own folder; effective from Python 3.11."""


def inferred(model: Any) -> Any:
    """Return the model with the shapes of its values; shapes stated for an open batch are discarded first."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    for value in bare.graph.output:
        value.type.tensor_type.ClearField("shape")
    kept = [
        tensor
        for tensor in bare.graph.initializer
        if content_of(tensor) is not None
    ]
    gone = [
        tensor
        for tensor in bare.graph.initializer
        if content_of(tensor) is None
    ]
    del bare.graph.initializer[:]
    bare.graph.initializer.extend(kept)
    known = {value.name for value in bare.graph.input}
    bare.graph.input.extend(
        helper.make_tensor_value_info(
            tensor.name, tensor.data_type, list(tensor.dims)
        )
        for tensor in gone
        if tensor.name not in known
    )
    try:
        plain = onnx.shape_inference.infer_shapes(bare)
        if _counts_are_few(
            plain.graph, bare.graph.input, bare.graph.initializer
        ):
            return onnx.shape_inference.infer_shapes(bare, data_prop=True)
        return _inferred_apart(bare) or plain
    except Exception:  # noqa: BLE001 - onnx may raise anything; the rules then work without shapes
        return model


def _counts_are_few(graph: Any, given: Any, stored: Any) -> bool:
    """Return whether all values that onnx may propagate (vectors and integer results) have a known, small size.

    Such values may describe dimensions, so onnx propagates them from node to node. A Range to 2^40, or forty Concats of
    a value with itself, would exhaust any memory from a file of one kilobyte.
    """
    values = (*given, *graph.value_info, *graph.output)
    shapes = {
        v.name: v.type.tensor_type.shape.dim
        for v in values
        if v.type.tensor_type.HasField("shape")
    }
    if any(
        name not in shapes or not _is_short(shapes[name])
        for name in (v.name for v in given)
    ):
        return False
    followed = {
        tensor.name for tensor in stored if tensor.data_type in _COUNTING
    }
    for node in graph.node:
        if next(inner_graphs(node), None) is not None:
            return False  # values of subgraphs are not analysed here
        made = [name for name in node.output if name]
        if any(
            name not in shapes or not _is_short(shapes[name]) for name in made
        ):
            return False
        if node.op_type in {"Shape", "Size", "Constant"} or followed.issuperset(
            filter(None, node.input)
        ):
            followed.update(made)
            if node.op_type != "Constant" and any(
                _elements(shapes[name]) > _LONGEST for name in made
            ):
                return False
    return True


def _is_short(dimensions: Any) -> bool:
    return len(dimensions) != 1 or 0 < dimensions[0].dim_value <= _LONGEST


def _elements(dimensions: Any) -> float:
    return math.prod(
        d.dim_value if d.HasField("dim_value") else math.inf for d in dimensions
    )


def _inferred_apart(model: Any) -> Any:
    """Run the inference in a process with bounded memory; return None if it fails."""
    command = [
        sys.executable,
        str(Path(__file__).parent / "workers" / "shapes_worker.py"),
    ]
    # One thread, because each thread of OpenBLAS reserves memory.
    environment = os.environ | SAFE_PATH | {"OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(  # noqa: S603 - our own file
            command,
            input=model.SerializeToString(),
            capture_output=True,
            timeout=60,
            check=True,
            env=environment,
        )
        return onnx.ModelProto.FromString(done.stdout)
    except (OSError, ValueError, DecodeError, subprocess.SubprocessError):
        return None


def content_of(tensor: Any) -> Array | None:
    """Return the content of a tensor; None if it is stored elsewhere or does not match its shape."""
    if tensor.external_data or tensor.data_location == TensorProto.EXTERNAL:
        return None
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except Exception:  # noqa: BLE001 - skimmed, or spoilt
        return None


def inner_graphs(node: Any) -> Iterator[Any]:
    """Yield the subgraphs of a node: branches, the body of a loop."""
    for attribute in node.attribute:
        yield from attribute.graphs
        if attribute.HasField("g"):
            yield attribute.g
