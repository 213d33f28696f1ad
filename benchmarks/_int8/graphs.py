"""Graphs to compare: float, INT8 by the usual tools, INT8 of anomedge."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from anomedge.export.module_tracing import ModuleTracer, Way
from anomedge.export.tracing import graph_from_model, keep_shipped_outputs
from anomedge.export.writing import write_ir, write_onnx
from anomedge.interop.module import ModulePipeline
from anomedge.pipelines.model import Model
from anomedge.runtimes.imports import import_openvino

__all__ = ["Refused", "Session", "sessions_of", "write_graphs", "write_usual"]

Frames = Sequence[npt.NDArray[np.uint8]]
Size = tuple[int, int]


class Refused(NamedTuple):
    """A graph that a runtime does not open, and the last line of its error."""

    variant: str
    runtime: str
    reason: str


class Session:
    """A graph opened in a runtime, batch 1, on two threads.

    Attributes:
        variant: "float", "usual", "anomedge" or "labels".
        runtime: "ORT" or "OV".
        bytes: size of the files.
    """

    def __init__(self, variant: str, runtime: str, path: Path) -> None:
        self.variant, self.runtime = variant, runtime
        files = [path, path.with_suffix(".bin")]
        self.bytes = sum(f.stat().st_size for f in files if f.exists())
        self._run = _opened_ort(path) if runtime == "ORT" else _opened_ov(path)

    def score(self, frame: npt.NDArray[np.uint8]) -> float:
        """Return the score of a frame (H, W, 3)."""
        return self._run(frame[None])


def _opened_ort(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(path, options)
    name = session.get_inputs()[0].name
    return lambda batch: float(session.run(["score"], {name: batch})[0][0])


def _opened_ov(path: Path) -> Any:
    openvino = import_openvino()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 2}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    request = compiled.create_infer_request()
    return lambda batch: float(request.infer({0: batch})["score"][0])


def write_graphs(model: Model, size: Size, stem: Path) -> None:
    """Write the ONNX graph and the IR of a model, for frames of this size."""
    is_module = isinstance(model.pipeline, ModulePipeline)
    tracer = ModuleTracer(Way(strict=False, batch=None)) if is_module else None
    graph, _ = graph_from_model(model, size, None, 17, tracer)
    keep_shipped_outputs(graph)
    write_onnx(graph, stem.with_suffix(".onnx"))
    write_ir(stem.with_suffix(".onnx"), stem.with_suffix(".xml"))


def write_usual(source: Path, stem: Path, frames: Frames) -> None:
    """Write the float graph quantised by the usual tools with their defaults.

    ONNX Runtime: `quantize_static` with its preprocessing; OpenVINO: `nncf.quantize`, where NNCF is installed.
    """
    _write_ort(source.with_suffix(".onnx"), stem.with_suffix(".onnx"), frames)
    if importlib.util.find_spec("nncf") is not None:
        _write_nncf(
            source.with_suffix(".xml"), stem.with_suffix(".xml"), frames
        )


def _write_ort(source: Path, target: Path, frames: Frames) -> None:
    from onnxruntime.quantization import (
        CalibrationDataReader,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(frames)

        def get_next(self) -> Any:
            frame = next(self.left, None)
            return None if frame is None else {"frames": frame[None]}

    prepared = target.with_suffix(".prepared.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    quantize_static(str(prepared), str(target), Reader())


def _write_nncf(source: Path, target: Path, frames: Frames) -> None:
    import nncf

    openvino = import_openvino()
    graph = openvino.Core().read_model(source)
    # NNCF addresses nodes by names, and two constants of one product share theirs.
    for place, node in enumerate(graph.get_ordered_ops()):
        if node.get_type_name() not in ("Parameter", "Result"):
            node.set_friendly_name(f"node{place}")
    data = nncf.Dataset([frame[None] for frame in frames])
    try:
        quantised = nncf.quantize(graph, data, subset_size=len(frames))
    except KeyError:
        # NNCF 3.4 fails on constants that two products share, as PaDiM's.
        scope = nncf.IgnoredScope(types=["MatMul"])
        quantised = nncf.quantize(
            graph, data, subset_size=len(frames), ignored_scope=scope
        )
    openvino.save_model(quantised, target, compress_to_fp16=False)


def sessions_of(folder: Path) -> Iterator[Session | Refused]:
    """Yield the sessions of all graphs that were written; a graph that its runtime refuses is named."""
    for variant in ("float", "usual", "anomedge", "labels"):
        for runtime, suffix in (("ORT", ".onnx"), ("OV", ".xml")):
            path = (folder / variant).with_suffix(suffix)
            if path.exists():
                yield _opened(variant, runtime, path)


def _opened(variant: str, runtime: str, path: Path) -> Session | Refused:
    try:
        return Session(variant, runtime, path)
    except Exception as error:  # noqa: BLE001 - vendors' errors have no base class
        lines = [line for line in str(error).splitlines() if line.strip()]
        return Refused(variant, runtime, lines[-1][:120].replace("|", "/"))
