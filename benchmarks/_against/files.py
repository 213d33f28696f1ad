"""Locations and inputs of the graphs. Does not import torch, because processes that measure memory import this module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SIDE = 256
PATCHES = (SIDE // 8) ** 2  # of one picture, PatchCore's
FILES = {"onnxruntime": "model.onnx", "openvino": "model.xml"}
"""What each runtime is given."""

INT8_SEARCH = "int8-search"
"""Variant of PatchCore's graph, in float32."""
INT8 = "int8"
"""Variant of PatchCore's graph: the backbone and the selection in INT8."""

Array = npt.NDArray[Any]


def graph_of(
    member: str, work: Path, case: str, batch: int, runtime: str
) -> Path:
    """Return the graph of `ours` or `theirs` for a batch size, or the detector's `backbone` or `part`.

    A case is a detector, with the size of its bank after a dash and our variant after a dot: "padim.fp16-storage".
    """
    fitted, precision = split(case)
    if member in {"backbone", "part"}:
        return work / f"limit-{fitted.split('-')[0]}" / member / FILES[runtime]
    names = (
        [f"ours.{precision}"]
        if member == "ours"
        else ["theirs-any", f"theirs-{batch}"]
    )
    return (
        next(path for name in names if (path := work / fitted / name).is_dir())
        / FILES[runtime]
    )


def split(case: str) -> tuple[str, str]:
    """Split a case into the fitted detector and the variant of our graph: a precision, `INT8_SEARCH` or `INT8`.

    >>> split("patchcore-1000"), split("padim.fp16-storage")
    (('patchcore-1000', 'fp32'), ('padim', 'fp16-storage'))
    """
    fitted, _, precision = case.partition(".")
    return fitted, precision or "fp32"


def precision_of(variant: str) -> str:
    """Return the precision of a variant of our graph: that of an INT8 search alone is float32.

    >>> precision_of("int8-search")
    'fp32'
    """
    return "fp32" if variant == INT8_SEARCH else variant


def bytes_of(graph: Path) -> int:
    """Return the bytes of all files that a runtime reads: two for an IR; an ONNX graph may have external weights."""
    beside = {".onnx": ".onnx.data", ".xml": ".bin"}[graph.suffix]
    return sum(
        path.stat().st_size
        for path in (graph, graph.with_suffix(beside))
        if path.exists()
    )


def frames_of(work: Path, batch: int) -> Array:
    """Return a batch of the pictures, uint8 (batch, 256, 256, 3)."""
    frames: Array = np.load(work / "frames.npy")
    return np.ascontiguousarray(frames[np.arange(batch) % len(frames)])


def feed_of(member: str, frames: Array) -> dict[str, Array]:
    """Return the input: camera frames for our graph, float images for anomalib's graph and the backbone."""
    if member == "ours":
        return {"frames": frames}
    return {"input" if member == "theirs" else "images": floats(frames)}


def floats(frames: Array) -> Array:
    """Convert frames to float32 (n, 3, H, W) in [0, 1]."""
    return np.ascontiguousarray(frames.transpose(0, 3, 1, 2)).astype(
        np.float32
    ) / np.float32(255)
