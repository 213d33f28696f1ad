"""Open graphs with equal settings: float32, latency mode, a number of threads. Does not import torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Call = Callable[[Mapping[str, Any]], dict[str, Any]]


def open_graph(runtime: str, path: Path, threads: int) -> Call:
    """Return the graph as a function of named arrays."""
    return (
        _onnxruntime(path, threads)
        if runtime == "onnxruntime"
        else _openvino(path, threads)
    )


def _onnxruntime(path: Path, threads: int) -> Call:
    from anomedge.runtimes.imports import import_onnxruntime

    onnxruntime = import_onnxruntime()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        path, settings, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return lambda feed: dict(
        zip(names, session.run(names, dict(feed)), strict=True)
    )


def _openvino(path: Path, threads: int) -> Call:
    from anomedge.runtimes.imports import import_openvino

    openvino = import_openvino()
    from openvino import properties

    hints = properties.hint
    settings = {
        hints.inference_precision: openvino.Type.f32,
        hints.performance_mode: hints.PerformanceMode.LATENCY,
        properties.inference_num_threads: threads,
    }
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(path), "CPU", settings)
    request = compiled.create_infer_request()
    # A tensor that the conversion made one of two has the names of both.
    places = {
        name: i
        for i, port in enumerate(compiled.outputs)
        for name in port.get_names()
    }

    def call(feed: Mapping[str, Any]) -> dict[str, Any]:
        results = request.infer(
            dict(feed), share_inputs=True, share_outputs=True
        )
        return {name: results[i] for name, i in places.items()}

    return call
