"""The C++ runner over TensorRT reads engines of `anomedge build`; compiled with a stand-in for TensorRT and CUDA."""

import json
import subprocess

import numpy as np
import pytest
from PIL import Image

from anomedge.bundle import Bundle
from anomedge.runtimes.graph_file import GraphFile
from anomedge.runtimes.tensorrt.cache import engine_cache
from benchmarks._clients.native import SOURCE
from tests.conftest import build_once
from tests.test_native_runner import (
    copy,
    refusal,
    run,
    skip_without_packages,
)

__all__ = ["copy"]

pytestmark = pytest.mark.slow
STAND_IN = SOURCE.parents[1] / "tests" / "tensorrt_stand_in"
FILES = (
    "main.cpp",
    "bundle.cpp",
    "files.cpp",
    "picture.cpp",
    "engines.cpp",
    "runtime_tensorrt.cpp",
)
GPU = {
    "gpu": "stand-in",
    "compute_capability": "8.7",
    "multiprocessors": "8",
    "driver": "CUDA 12.6",
}
OPTIONS = {"tf32": False, "workspace": None, "dla": None}


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    skip_without_packages()
    folder = build_once(tmp_path_factory, "native-tensorrt", compile_runner)
    return folder / "runner-tensorrt"


def compile_runner(folder):
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    headers = [f"-I{SOURCE}", "-isystem", STAND_IN]
    sources = [SOURCE / name for name in FILES]
    target = ["-o", folder / "runner-tensorrt", "-lpng", "-lcrypto"]
    command = ["g++", "-std=c++17", *warnings, *headers, *sources, *target]
    subprocess.run(command, check=True, capture_output=True)


def write_engine(path, device=GPU, options=OPTIONS, version="10.3.0.26"):
    """Write an engine for batches of 1 to 3 into the cache of `anomedge build`."""
    bundle = Bundle.open(path)
    graph = GraphFile.in_bundle(bundle, "model.onnx").load()
    frame, outputs = bundle.manifest.input, bundle.manifest.outputs
    _, height, width = outputs[1].shape
    plan = f"stand-in {frame.height} {frame.width} {height} {width}"
    facts = {
        "rules": 1,
        "version": version,
        "device": device,
        "graph": graph.digests,
        "options": options,
    }
    cache = engine_cache(path / "model.onnx", "trt", None)
    with cache.writable_folder() as folder:
        cache.save(folder, facts, (1, 2, 3), plan.encode())
    return folder, (height, width)


def test_frames_reach_the_engine_and_outputs_come_back(program, copy, tmp_path):
    _, (height, width) = write_engine(copy)
    frames = sorted((copy / "golden").glob("*.png"))[:3]
    done = run(program, copy, *frames)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    pictures = [np.array(Image.open(frame)) for frame in frames]
    found = [line["score"] for line in lines]
    assert found == pytest.approx([x.mean() for x in pictures], rel=1e-6)
    assert {line["runtime"] for line in lines} == {"tensorrt"}
    target = tmp_path / "map.f32"
    assert run(program, copy, frames[0], "--map", target).returncode == 0
    values = np.fromfile(target, np.float32).reshape(height, width)
    rows = np.arange(height) * pictures[0].shape[0] // height
    columns = np.arange(width) * pictures[0].shape[1] // width
    assert np.array_equal(values, pictures[0][rows][:, columns, 0])


def test_engines_that_do_not_fit_are_refused(program, copy):
    frame = copy / "golden" / "000.png"
    assert "got no folder" in refusal(program, copy, frame)
    for changed in (
        {"device": GPU | {"gpu": "another"}},
        {"device": GPU | {"multiprocessors": "16"}},
        {"options": OPTIONS | {"tf32": True}},
        {"options": OPTIONS | {"dla": 0}},
        {"version": "10.30.0"},
    ):
        write_engine(copy, **changed)
        assert "no such engine" in refusal(program, copy, frame)
    write_engine(copy)
    assert "batch of 4" in refusal(program, copy, *[frame] * 4)
    assert "expected gpu" in refusal(program, copy, frame, "--device", "cpu")


def test_a_changed_engine_is_refused(program, copy):
    frame = copy / "golden" / "000.png"
    folder, _ = write_engine(copy)
    (engine,) = folder.glob("*.engine")
    content = engine.read_bytes()
    engine.write_bytes(b"S" + content[1:])
    assert "was changed" in refusal(program, copy, frame)
    record = engine.with_name(f"{engine.name}.json")
    other = json.loads(record.read_text())
    graph = other["fingerprint"]["graph"]
    other["fingerprint"]["graph"] = dict.fromkeys(graph, "0" * 64)
    record.write_text(json.dumps(other))
    assert "no such engine" in refusal(program, copy, frame)
