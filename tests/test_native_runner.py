"""The C++ runner decides as `Inspector`, conforms, and refuses changed bundles; it is compiled once per session."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.external_data_helper import set_external_data
from PIL import Image

from anomedge import Inspector
from anomedge.conformance import ClientCommand, examine
from anomedge.parity.certificate import TOLERANCES
from benchmarks._clients.native import compile_runners, missing_for_build
from tests.conftest import build_once

pytestmark = pytest.mark.slow


def skip_without_packages() -> None:
    missing = missing_for_build()
    if missing is not None:
        pytest.skip(f"{missing} is not installed here")


@pytest.fixture(scope="session")
def runners(tmp_path_factory) -> Path:
    """The folder of the compiled programs."""
    skip_without_packages()
    return build_once(tmp_path_factory, "native-runner", compile_runners)


@pytest.fixture(params=["openvino", "onnxruntime"])
def runner(request, runners) -> Path:
    program = runners / f"runner-{request.param}"
    if not program.exists():
        pytest.skip("libonnxruntime-dev is not installed here")
    return program


def run(*command) -> subprocess.CompletedProcess:
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True)


def refusal(*command) -> str:
    done = run(*command)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.fixture
def copy(bundle_paths, tmp_path) -> Path:
    return Path(shutil.copytree(bundle_paths["patchcore"], tmp_path / "copy"))


@pytest.fixture
def frame(bundle_paths) -> Path:
    return bundle_paths["patchcore"] / "golden" / "003.png"


def test_labels_scores_and_maps_are_those_of_the_inspector(
    runner, bundle_paths, tmp_path
):
    path = bundle_paths["patchcore"]
    pictures = sorted((path / "golden").glob("*.png"))
    done = run(runner, path, *pictures)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    with Inspector.open(path, runtime="onnxruntime") as inspector:
        results = inspector.predict_batch(pictures)
        decision = inspector.decision
    allowed = TOLERANCES["fp32"].score * decision.scale
    for line, result in zip(lines, results, strict=True):
        assert line["label"] == result.label
        assert abs(line["score"] - result.score) <= max(
            allowed, 1e-5 * result.score
        )
        shown = decision.normalised(line["score"])
        assert line["normalised"] == pytest.approx(float(shown), abs=1e-9)
    assert {line["label"] for line in lines} == {"normal", "anomalous"}
    target = tmp_path / "map.f32"
    assert run(runner, path, pictures[3], "--map", target).returncode == 0
    shape = results[3].anomaly_map.shape
    found = np.fromfile(target, np.float32).reshape(shape)
    error = np.abs(found - results[3].anomaly_map).max()
    assert error <= TOLERANCES["fp32"].map * decision.scale
    grey = tmp_path / "map.png"
    assert run(runner, path, pictures[3], "--map", grey).returncode == 0
    with Image.open(grey) as picture:
        assert picture.size == shape[::-1]


@pytest.mark.parametrize(
    "template",
    ["{bundle} {frame} --map {map}", "{bundle} {frames}", "{bundle} {raw}"],
)
def test_the_runner_conforms(runners, bundle_paths, template):
    client = ClientCommand(f"{runners / 'runner-openvino'} {template}", 60)
    path = bundle_paths["patchcore"]
    with Inspector.open(path, runtime="onnxruntime") as inspector:
        result = examine(
            inspector,
            client,
            most=2,
            raw=client.is_raw,
            batches=client.takes_several,
            maps=client.writes_map,
        )
    assert result.findings == ()
    assert result.frames == 6


def test_changed_bundles_are_refused(runners, copy, frame):
    program = runners / "runner-openvino"
    extra = copy / "extra.txt"
    extra.write_text("x")
    assert "not in the manifest" in refusal(program, copy, frame)
    extra.unlink()
    extra.symlink_to("/etc/hostname")
    assert "is a link" in refusal(program, copy, frame)
    extra.unlink()
    scores = copy / "golden" / "score.npy"
    content = scores.read_bytes()
    scores.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "SHA-256" in refusal(program, copy, frame)
    scores.write_bytes(content + b"x")
    assert "size" in refusal(program, copy, frame)
    scores.unlink()
    assert "cannot be read" in refusal(program, copy, frame)


def test_changed_manifests_are_refused(runners, copy, frame):
    program, path = runners / "runner-openvino", copy / "manifest.json"
    text = path.read_text()
    digest = json.loads(text)["digest"]
    for changed, words in [
        (text.replace('"opset": 17', '"opset": 18'), "its digest"),
        (text.replace(digest, "0" * 64), "its digest"),
        (text.replace('"model.onnx"', '"../model.onnx"'), "its digest"),
        (text.replace("{\n", '{\n  "digest": "x",\n', 1), "twice"),
        ("[" * 100_000, "nested"),
        ("", "manifest.json"),
        (text + " " * (4 << 20), "larger"),
    ]:
        assert changed != text
        path.write_text(changed)
        assert words in refusal(program, copy, frame)


def test_a_name_outside_the_bundle_is_refused(runners, copy, frame):
    """With a right digest, so that the name itself is examined."""
    from anomedge.bundle.manifest import digest_of
    from anomedge.files import canonical_json

    path = copy / "manifest.json"
    for name in ("../outside", "/etc/hostname", "golden/../x", "a\\b"):
        content = json.loads(path.read_text())
        content["files"] |= {name: {"bytes": 1, "sha256": "0" * 64}}
        content["digest"] = digest_of(content)
        changed = copy.with_name("changed")
        shutil.copytree(copy, changed, dirs_exist_ok=True)
        (changed / "manifest.json").write_bytes(canonical_json(content))
        assert "plain name" in refusal(
            runners / "runner-openvino", changed, frame
        )


def test_tensors_in_other_files_are_not_read(
    runners, copy, frame, tmp_path, monkeypatch
):
    """A graph whose bank lies in a file of the current folder; the bundle's hashes are right."""
    from anomedge.bundle.manifest import digest_of
    from anomedge.files import canonical_json, sha256_of_bytes

    program = runners / "runner-onnxruntime"
    if not program.exists():
        pytest.skip("libonnxruntime-dev is not installed here")
    model = onnx.load(copy / "model.onnx")
    tensor = max(model.graph.initializer, key=lambda each: each.ByteSize())
    (tmp_path / "decoy").write_bytes(numpy_helper.to_array(tensor).tobytes())
    set_external_data(tensor, "decoy")
    tensor.ClearField("raw_data")
    content = model.SerializeToString()
    (copy / "model.onnx").write_bytes(content)
    manifest = json.loads((copy / "manifest.json").read_text())
    digest = sha256_of_bytes(content)
    manifest["files"]["model.onnx"] = {"bytes": len(content), "sha256": digest}
    manifest["digest"] = digest_of(manifest)
    (copy / "manifest.json").write_bytes(canonical_json(manifest))
    monkeypatch.chdir(tmp_path)
    assert "decoy" in refusal(program, copy, frame)


def test_local_settings_of_another_bundle_are_ignored(runners, copy, frame):
    program = runners / "runner-openvino"
    own = json.loads((copy / "manifest.json").read_text())["digest"]
    local = copy / "local.json"
    local.write_text(json.dumps({"bundle": own, "threshold": 1e6}))
    assert json.loads(run(program, copy, frame).stdout)["label"] == "normal"
    local.write_text(json.dumps({"bundle": "0" * 64, "threshold": 1e6}))
    done = run(program, copy, frame)
    assert json.loads(done.stdout)["label"] == "anomalous"
    assert "ignored" in done.stderr
    local.write_text(json.dumps({"bundle": own, "threshold": "1"}))
    assert "finite number" in refusal(program, copy, frame)


def test_wrong_frames_are_refused(runners, bundle_paths, frame, tmp_path):
    program, path = runners / "runner-openvino", bundle_paths["patchcore"]
    deep = tmp_path / "deep.png"
    Image.fromarray(np.zeros((96, 128), np.uint16)).save(deep)
    assert "16 bits" in refusal(program, path, deep)
    cut = tmp_path / "cut.png"
    cut.write_bytes(frame.read_bytes()[:-2000])
    assert "damaged" in refusal(program, path, cut)
    cut.write_bytes(b"no picture")
    assert "no whole PNG" in refusal(program, path, cut)
    raw = tmp_path / "short.rgb"
    raw.write_bytes(bytes(10))
    assert "10 bytes" in refusal(program, path, raw)
    assert "cannot be opened" in refusal(program, path, tmp_path / "none.png")
