"""One model of anomalib through `anomedge import --with-anomalib`: import, trace, and compare with anomalib's eager model.

Compared are raw scores and maps of the shipped graph, at every batch size that it takes, with anomalib's own torch model
on the same pixels, one image at a time (CFLOW's map depends on the rest of the batch in anomalib).
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _shared.anomalib_checkpoints import (
    CASES,
    Case,
    images,
    reference,
    write_checkpoint,
)

__all__ = ["MODELS", "main", "measured"]

MODELS: list[str] = list(CASES)
BATCHES = (1, 2, 3, 8)
PICTURES = 8
TARGETS = ("tensorrt-8.5", "tensorrt-10.3")
Arrays = dict[str, np.ndarray]


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Measure one model.

    Args:
        asked: "model"; "threads" of the runtimes; "work", a folder; "prove",
            whether a bundle is exported and proven too.

    Returns:
        "model", "route" (strict, non-strict or static), "ort" and "ov" (the
        larger error of score and map over the range), "mb", "batch",
        "operators" that not every runtime has, "lint" (refusals by target),
        "proof"; or "model" and "failed", the reason in one line.
    """
    torch.set_num_threads(int(asked.get("threads", 2)))
    warnings.simplefilter("ignore")
    case = CASES[asked["model"]]
    with tempfile.TemporaryDirectory(dir=asked.get("work")) as folder:
        try:
            return measured(case, Path(folder), asked)
        except Exception as error:
            if os.environ.get("GENERIC_RAISES"):
                raise
            reason = (str(error).splitlines() or [""])[0]
            return {
                "model": case.name,
                "failed": f"{type(error).__name__}: {reason}",
            }


def measured(case: Case, folder: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """Return the row of a model."""
    from anomedge.interop.anomalib.with_anomalib import import_with_anomalib
    from anomedge.pipelines.model import Card, Model, load, save

    path = write_checkpoint(case, folder)
    content = torch.load(path, weights_only=False)["state_dict"]  # our own file
    imported = import_with_anomalib(path)
    tensors = {
        name.removeprefix("model."): value
        for name, value in content.items()
        if name.startswith("model.")
    }
    frames = _frames(case)
    expected = _expected(case, reference(case, tensors), frames)
    card = Card(seed=0, fitted=(), weights="untrained", tools={}, licence={})
    model = Model(
        imported.pipeline, imported.geometry, _decision(expected), card
    )
    file = folder / "model.safetensors"
    save(model, file)
    path.unlink()
    del imported, model, content, tensors
    loaded = load(file)
    graph, way, unshared = _graph(loaded, case, folder)
    batches = [b for b in BATCHES if way.batch in (None, b)]
    runtimes: dict[str, Callable[[], Any]] = {
        "ort": lambda: _onnxruntime(graph, int(asked.get("threads", 2))),
        "ov": lambda: _openvino(graph),
    }
    errors = {
        name: _worst(open_runtime(), frames, expected, batches)
        for name, open_runtime in runtimes.items()
    }
    row: dict[str, Any] = {
        "model": case.name,
        "route": "static" if way.batch else way.name,
        "batch": str(way.batch or "any"),
        "mb": round(graph.stat().st_size / 1e6, 1),
        "operators": list(unshared),
        "lint": _refusals(graph),
        **{name: max(worst.values()) for name, worst in errors.items()},
        "errors": errors,
    }
    if asked.get("prove"):
        row["proof"] = _proof(file, case, folder)
    return row


def _frames(case: Case) -> np.ndarray:
    """Return frames (B, H, W, 3), uint8, of the size of the images."""
    values = images(PICTURES, case.size, seed=5)
    frames = (values * 255).round().to(torch.uint8)
    return frames.permute(0, 2, 3, 1).contiguous().numpy()


def _expected(case: Case, model: torch.nn.Module, frames: np.ndarray) -> Arrays:
    """Return raw scores (B,) and maps (B, 1, H, W) of anomalib's eager model, one image at a time."""
    from anomedge.interop.outputs import raw_outputs

    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in case.kind.scaling)
    scores, maps = [], []
    for frame in frames:
        image = torch.from_numpy(frame.copy()).permute(2, 0, 1)[None] / 255
        with torch.no_grad():
            result = raw_outputs(model((image - mean) / std), 1)
        scores.append(result.score)
        if result.anomaly_map is not None:
            maps.append(result.anomaly_map)
    values = {"score": torch.cat(scores).numpy()}
    return values | ({"anomaly_map": torch.cat(maps).numpy()} if maps else {})


def _decision(expected: Arrays) -> Any:
    """Return thresholds in the middle of the widest gap of the scores."""
    from anomedge.threshold import Decision, Origin

    scores = np.sort(expected["score"].astype(np.float64))
    place = int(np.argmax(np.diff(scores)))
    maps = expected.get("anomaly_map")
    return Decision(
        threshold=float(scores[place : place + 2].mean()),
        pixel_threshold=None if maps is None else float((maps.min() + maps.max()) / 2),
        minimum=float(scores[0]),
        maximum=float(scores[-1]),
        scale=float(scores[-1] - scores[0]),
        origin=Origin(
            rule="false-alarm-rate", source="untrained network", normal=len(scores), anomalous=0, margin=0.0, extrapolated=False,
            pictures="0" * 64,
        ),
    )  # fmt: skip


def _graph(model: Any, case: Case, folder: Path) -> tuple[Path, Any, Any]:
    """Trace as `anomedge export` does; return the shipped graph, the way, and operators that not every runtime has."""
    from anomedge.export.bundling import ExportOptions
    from anomedge.export.module_tracing import tracer_of
    from anomedge.export.proof import pictures_of
    from anomedge.export.tracing import graph_from_model, keep_shipped_outputs
    from anomedge.export.writing import write_onnx

    options = ExportOptions(frame=case.size)
    framing = options.framing(model.geometry)
    pictures = pictures_of((), framing, None, None)
    tracer, options = tracer_of(model, framing, options, pictures)
    graph, _ = graph_from_model(
        model, framing, options.fixed_batch, options.opset, tracer
    )
    keep_shipped_outputs(graph)
    path = folder / "model.onnx"
    write_onnx(graph, path)
    return path, tracer.way, tracer.unshared


def _onnxruntime(graph: Path, threads: int) -> Callable[[np.ndarray], Arrays]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(graph), options)
    names = [output.name for output in session.get_outputs()]

    def run(frames: np.ndarray) -> Arrays:
        return dict(
            zip(names, session.run(names, {"frames": frames}), strict=True)
        )

    return run


def _openvino(graph: Path) -> Callable[[np.ndarray], Arrays]:
    from anomedge.runtimes.imports import import_openvino

    openvino = import_openvino()
    compiled = openvino.Core().compile_model(
        str(graph), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )

    def run(frames: np.ndarray) -> Arrays:
        result = compiled(frames)
        # An output that is an alias of another tensor has several names.
        return {
            name: result[output]
            for output in compiled.outputs
            for name in output.names
        }

    return run


def _worst(
    run: Callable[[np.ndarray], Arrays],
    frames: np.ndarray,
    expected: Arrays,
    batches: list[int],
) -> dict[str, float]:
    """Return the largest error of each output over its range, at all batch sizes."""
    worst = dict.fromkeys(expected, 0.0)
    for start, stop in _parts(batches):
        found = run(frames[start:stop])
        for name, values in expected.items():
            error = np.abs(found[name] - values[start:stop]).max()
            extent = values.max() - values.min()
            worst[name] = max(worst[name], float(error / extent))
    return worst


def _parts(batches: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the frames of each run: all of them, in each batch size."""
    for batch in batches:
        for start in range(0, PICTURES - batch + 1, batch):
            yield start, start + batch


def _refusals(graph: Path) -> dict[str, list[str]]:
    """Return the operators that the table of each target refuses."""
    from anomedge.lint import examine

    report = examine(graph, TARGETS, real=False)
    refused: dict[str, list[str]] = {}
    for finding in report.findings:
        if finding.severity == "error":
            refused.setdefault(finding.target, []).append(finding.op)
    return {name: sorted(set(found)) for name, found in refused.items()}


def _proof(file: Path, case: Case, folder: Path) -> str:
    """Export a bundle and prove it; return the verdict."""
    from anomedge.export.bundling import ExportOptions, export

    certificate = export(
        file, folder / "bundle", ExportOptions(frame=case.size)
    )
    return "passed" if certificate.passed else "failed"


if __name__ == "__main__":
    import json
    import sys

    for name in sys.argv[1:] or MODELS:
        print(json.dumps(main({"model": name, "threads": 1})), flush=True)
