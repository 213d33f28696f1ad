"""The examples of docs/integrate.md give the results of `Inspector`."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from anomedge import Inspector
from anomedge.images import list_pictures, read_picture
from anomedge.parity.certificate import TOLERANCES
from anomedge.runtimes.imports import import_openvino
from tests.documentation import ROOT, blocks

EXAMPLES = ROOT / "docs" / "examples"
HINT = '{"INFERENCE_PRECISION_HINT": "f32"}'


def allowed_error(bundle):
    return TOLERANCES["fp32"].score * bundle.manifest.decision.scale


def test_the_documented_line_computes_in_float32(
    detector, bundle, bundle_paths, pictures
):
    openvino = import_openvino()
    from anomedge.runtimes.ov import _core

    page = ROOT / "docs" / "integrate.md"
    (line,) = (
        b.text
        for b in blocks(page)
        if b.language == "python" and HINT in b.text
    )
    graph = str(bundle.file("openvino/model.xml"))
    namespace = {"core": _core()}
    exec(line.replace("openvino/model.xml", graph), namespace)  # noqa: S102
    compiled = namespace["compiled"]
    hint = compiled.get_property("INFERENCE_PRECISION_HINT")
    assert hint == openvino.Type.f32
    frames = np.stack(
        [read_picture(path) for path in list_pictures(pictures / "test")]
    )
    with Inspector.open(
        bundle_paths[detector], runtime="onnxruntime"
    ) as inspector:
        results = inspector.predict(frames)
    expected = np.array([result.score for result in results])
    error = np.abs(compiled(frames)["score"] - expected).max()
    assert error <= allowed_error(bundle)


@pytest.mark.slow
def test_the_cpp_example_decides_as_the_inspector(
    bundle_paths, pictures, tmp_path
):
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed here")
    program = compiled_example("openvino.cpp", tmp_path / "inspect-frame")
    path = bundle_paths["patchcore"]
    labels = set()
    with Inspector.open(path, runtime="openvino") as inspector:
        decision = inspector.bundle.decision
        for picture in list_pictures(pictures / "test"):
            frame = read_picture(picture)
            expected = inspector.predict(frame)
            label, score, normalised = run_example(
                program, path / "openvino" / "model.xml", frame, decision
            )
            assert label == expected.label
            error = abs(float(score) - expected.score)
            assert error <= allowed_error(inspector.bundle)
            shown = decision.normalised(expected.score)
            assert float(normalised) == pytest.approx(shown, abs=1e-3)
            labels.add(label)
    assert labels == {"normal", "anomalous"}


def compiled_example(name: str, program: Path) -> Path:
    """Compile an example against OpenVINO's Python package."""
    package = Path(import_openvino().__file__).parent
    (library,) = (package / "libs").glob("libopenvino.so*")
    subprocess.run(
        [
            "g++",
            "-std=c++17",
            "-Wall",
            "-Werror",
            "-isystem",
            package / "include",
            EXAMPLES / name,
            library,
            f"-Wl,-rpath,{package / 'libs'}",
            "-o",
            program,
        ],
        check=True,
    )
    return program


def run_example(program, graph, frame, decision) -> list[str]:
    """Run an example on a frame; return the words that it prints."""
    file = program.with_name("frame.rgb")
    file.write_bytes(frame.tobytes())
    height, width, _ = frame.shape
    numbers = (height, width, decision.threshold, decision.range)
    command = [program, graph, file, *map(repr, numbers)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()
