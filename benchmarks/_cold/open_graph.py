"""Open one graph in this process, run it once, and print CPU seconds, wall seconds and peak resident bytes as JSON.

    python open_graph.py ours RUNTIME BUNDLE FRAME.npy
    python open_graph.py theirs RUNTIME GRAPH FRAME.npy
    python open_graph.py cached RUNTIME GRAPH FRAME.npy STORED

`cached` opens what the runtime stored in `STORED` after an earlier opening; it hashes the graph, whose digest is the
key of a cache, and the stored bytes. Imports are not counted. Works with earlier commits of the package.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Run = Callable[[], Any]
CPU = ["CPUExecutionProvider"]


def ours(runtime: str, path: Path, frame: Any) -> Run:
    """Open a bundle as a program does: every file checked, the graph read again and hashed."""
    from anomedge import Inspector

    inspector = Inspector.open(path, runtime=runtime)
    return lambda: inspector.predict(frame)


def theirs(runtime: str, path: Path, frame: Any) -> Run:
    """Open a bare file by its path, as its users do; nothing is hashed, and the file may be mapped."""
    feed = {"input": floats(frame)}
    if runtime == "onnxruntime":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=CPU)
        return lambda: session.run(None, feed)
    compiled = core().compile_model(path, "CPU", OPENVINO)
    return lambda: compiled(feed)


def cached(runtime: str, path: Path, frame: Any, stored: Path) -> Run:
    """Open the stored form of the graph from checked bytes."""
    for file in files_of(path):
        hashlib.sha256(file.read_bytes()).hexdigest()
    content = stored.read_bytes()
    hashlib.sha256(content).hexdigest()
    feed = {"frames": frame[None]}
    if runtime == "onnxruntime":
        session = stored_session(content)
        return lambda: session.run(None, feed)
    compiled = core().import_model(content, "CPU", OPENVINO)
    return lambda: compiled(feed)


def files_of(path: Path) -> list[Path]:
    """Return the files of a graph: an IR has two."""
    return (
        [path] if path.suffix == ".onnx" else [path, path.with_suffix(".bin")]
    )


def stored_session(content: bytes) -> Any:
    """Open ONNX Runtime's optimised model, without optimising it again."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    levels = onnxruntime.GraphOptimizationLevel
    settings.graph_optimization_level = levels.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(content, settings, providers=CPU)


def store(runtime: str, path: Path, stored: Path) -> None:
    """Store the optimised model of ONNX Runtime, or the compiled one of OpenVINO."""
    if runtime == "onnxruntime":
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        settings.optimized_model_filepath = str(stored)
        onnxruntime.InferenceSession(path, settings, providers=CPU)
        return
    exported = core().compile_model(path, "CPU", OPENVINO).export_model()
    stored.write_bytes(getattr(exported, "getvalue", lambda: exported)())


OPENVINO = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}


def core() -> Any:
    """Return a core of OpenVINO."""
    import openvino

    return openvino.Core()


def floats(frame: Any) -> Any:
    """Convert a frame to float32 (1, 3, H, W) in [0, 1]."""
    planes = np.ascontiguousarray(frame.transpose(2, 0, 1)[None])
    return planes.astype(np.float32) / np.float32(255)


def peak_bytes() -> int:
    """Return the peak resident memory of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def main() -> None:
    """Measure one opening."""
    way, runtime, path, frame, *more = sys.argv[1:]
    if way == "store":
        store(runtime, Path(path), Path(frame))
        return
    from anomedge import runtimes
    from anomedge.runtimes import imports

    for name in ("images", "inspector"):
        importlib.import_module(f"anomedge.{name}")
    runtimes.available()
    getattr(imports, f"import_{runtime}")()
    pixels = np.load(frame)
    opener = {"ours": ours, "theirs": theirs, "cached": cached}[way]
    cpu, wall = time.process_time(), time.perf_counter()
    call = opener(runtime, Path(path), pixels, *map(Path, more))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    call()
    print(json.dumps({"cpu": cpu, "wall": wall, "peak": peak_bytes()}))


if __name__ == "__main__":
    main()
