"""Triton Inference Server: model repositories for its back ends onnxruntime, openvino and tensorrt.

An open batch becomes `max_batch_size`, so the score (B,) has the shape [1] in requests, reshaped from []. A fixed batch is
stated in full, because Triton would send fewer frames.

Reference:
    Triton, "Model Configuration", and `model_config.proto` of triton-inference-server/common.
"""

from __future__ import annotations

from collections.abc import Iterable
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
"""


class Triton(Server):
    """A folder for `tritonserver --model-repository`, with one model for each back end."""

    name = "triton"
    summary = "a model repository with config.pbtxt for onnxruntime, openvino and tensorrt"

    @classmethod
    def write(cls, graph: ServedGraph, folder: Path) -> None:
        """Write a model for each back end; that of TensorRT has a script that builds its engine."""
        model = folder / f"{graph.title}-onnxruntime"
        graph.copy_onnx(model / _VERSION)
        _write(graph, model, "onnxruntime", graph.onnx_file(), "")
        ir = graph.ir_file()
        if ir is not None:
            model = folder / f"{graph.title}-openvino"
            graph.copy_ir(model / _VERSION)
            _write(graph, model, "openvino", ir, _NO_FLOAT32)
        model = folder / f"{graph.title}-tensorrt"
        (model / _VERSION).mkdir(parents=True)
        onnx = f"../{graph.title}-onnxruntime/{_VERSION}/{graph.onnx_file()}"
        command = engine_command(graph, onnx, f"{_VERSION}/{_PLAN}")
        note = f"# Build {_VERSION}/{_PLAN} on the device, in this folder: {command}\n"
        _write(graph, model, "tensorrt", _PLAN, note)


def _write(
    graph: ServedGraph, model: Path, backend: str, file: str, note: str
) -> None:
    batch = graph.largest if graph.is_dynamic else 0
    lines = [
        f'name: "{model.name}"',
        f'backend: "{backend}"',
        f'default_model_filename: "{file}"',
        f"max_batch_size: {batch}",
        *_tensor("input", graph.input, batch),
    ]
    for output in graph.outputs:
        lines += _tensor("output", output, batch)
    if batch > 1:
        lines.append("dynamic_batching { }")
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
    return ", ".join(str(size) for size in sizes)
