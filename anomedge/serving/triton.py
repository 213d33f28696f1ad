"""Triton Inference Server: model repositories for its back ends onnxruntime, openvino and tensorrt.

An open batch becomes `max_batch_size`, so the score (B,) has the shape [1] in requests, reshaped from []. A fixed batch is
stated in full, because Triton would send fewer frames. So is an open one for openvino, as [-1, ...]: with `max_batch_size`
that back end takes requests of exactly this size.

Each back end has a repository of its own, because Triton ends at its start if one model of a repository does not load: the
engine is not built yet, or a back end is not installed.

Reference:
    Triton, "Model Configuration", and `model_config.proto` of triton-inference-server/common; README.md of
    triton-inference-server/openvino_backend, and issue 7363 of triton-inference-server/server.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from anomedge.bundle.interface import Value
from anomedge.serving.base import Server
from anomedge.serving.graph import ServedGraph
from anomedge.serving.trtexec import engine_command

__all__ = ["Triton"]

_TYPES = {"uint8": "TYPE_UINT8", "float32": "TYPE_FP32", "bool": "TYPE_BOOL"}
_VERSION = "1"
_PLAN = "model.plan"
_NO_FLOAT32 = """\
# This back end has no parameter for float32: on processors with AVX512-BF16 or AMX it computes in bfloat16, outside the proof.
# Open batches need Triton 24.04 or later.
"""
_ON_CPU = "instance_group [ { kind: KIND_CPU } ]"
"""For openvino, which runs on CPUs only; Triton's default on a machine with a GPU is the GPU."""


class Triton(Server):
    """A folder for `tritonserver --model-repository` for each back end, with one model."""

    name = "triton"
    summary = "a model repository with config.pbtxt each for onnxruntime, openvino and tensorrt"

    @classmethod
    def write(cls, graph: ServedGraph, folder: Path) -> None:
        """Write a repository for each back end; the configuration for TensorRT states how to build its engine."""
        model = _model(graph, folder, "onnxruntime")
        graph.copy_onnx(model / _VERSION)
        batch = graph.largest if graph.is_dynamic else 0
        _write(graph, model, graph.onnx_file(), batch)
        ir = graph.ir_file()
        if ir is not None:
            model = _model(graph, folder, "openvino")
            graph.copy_ir(model / _VERSION)
            _write(graph, model, ir, 0, _NO_FLOAT32, [_ON_CPU])
        onnx = _model(graph, Path("../.."), "onnxruntime") / _VERSION
        model = _model(graph, folder, "tensorrt")
        (model / _VERSION).mkdir(parents=True)
        command = engine_command(
            graph, f"{onnx}/{graph.onnx_file()}", f"{_VERSION}/{_PLAN}"
        )
        note = f"# Build {_VERSION}/{_PLAN} on the device, in this folder: {command}\n"
        _write(graph, model, _PLAN, batch, note)


def _model(graph: ServedGraph, folder: Path, backend: str) -> Path:
    """Return the folder of a back end's model, in the repository of that back end."""
    return folder / backend / f"{graph.title}-{backend}"


def _write(
    graph: ServedGraph,
    model: Path,
    file: str,
    batch: int,
    note: str = "",
    more: Sequence[str] = (),
) -> None:
    lines = [
        f'name: "{model.name}"',
        f'backend: "{model.parent.name}"',
        f'default_model_filename: "{file}"',
        f"max_batch_size: {batch}",
        *_tensor("input", graph.input, batch),
    ]
    for output in graph.outputs:
        lines += _tensor("output", output, batch)
    if batch > 1:
        lines.append("dynamic_batching { }")
    lines += more
    (model / "config.pbtxt").write_text(note + "\n".join(lines) + "\n")


def _tensor(side: str, value: Value, batch: int) -> list[str]:
    sizes = value.shape[1:] if batch else value.shape
    reshape = [] if sizes else ["    reshape { shape: [ ] }"]
    return [
        f"{side} [",
        "  {",
        f'    name: "{value.name}"',
        f"    data_type: {_TYPES[value.dtype]}",
        f"    dims: [ {_joined(sizes or (1,))} ]",
        *reshape,
        "  }",
        "]",
    ]


def _joined(sizes: Iterable[int | None]) -> str:
    return ", ".join("-1" if size is None else str(size) for size in sizes)
