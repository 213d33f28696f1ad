"""The client of docs/examples conforms, refuses what it must, and compares in float64."""

import importlib.util
import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from anomedge.conformance import ClientCommand, examine
from anomedge.inspector import Inspector
from tests.documentation import ROOT

SCRIPT = ROOT / "docs" / "examples" / "onnxruntime_client.py"


@pytest.fixture(scope="module")
def client():
    spec = importlib.util.spec_from_file_location("client", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bundle(bundle_paths, tmp_path):
    return shutil.copytree(bundle_paths["padim"], tmp_path / "part.anomedge")


def frame_of(bundle):
    return str(next((bundle / "golden").glob("*.png")))


def graph_of(score):
    """Return a graph that gives one score."""
    return SimpleNamespace(run=lambda *_: [np.float32([score])])


def test_the_next_smaller_float64_is_a_threshold_below_the_score(
    client, bundle, monkeypatch, capsys
):
    score = np.float32(0.7)
    monkeypatch.setattr(client, "opened_graph", lambda *_: graph_of(score))
    labels = []
    for threshold in (float(score), float(np.nextafter(float(score), 0))):
        monkeypatch.setattr(
            client, "threshold_in_force", lambda *_, found=threshold: found
        )
        client.inspect(bundle, [frame_of(bundle)])
        labels.append(json.loads(capsys.readouterr().out)["label"])
    assert labels == ["normal", "anomalous"]


def test_a_score_that_is_not_finite_is_refused(client, bundle, monkeypatch):
    monkeypatch.setattr(client, "opened_graph", lambda *_: graph_of(np.nan))
    with pytest.raises(client.Refused, match="score nan"):
        client.inspect(bundle, [frame_of(bundle)])


def test_a_changed_manifest_or_graph_is_refused(client, bundle):
    path = bundle / "manifest.json"
    manifest = client.checked_manifest(bundle)
    graph = bundle / "model.onnx"
    graph.write_bytes(graph.read_bytes() + b"\0")
    with pytest.raises(client.Refused, match=r"model\.onnx was changed"):
        client.opened_graph(bundle, manifest)
    threshold = str(manifest["decision"]["threshold"])
    path.write_text(path.read_text().replace(threshold, f"1{threshold}"))
    with pytest.raises(client.Refused, match=r"manifest\.json was changed"):
        client.checked_manifest(bundle)


def test_the_settings_of_another_bundle_are_ignored(client, bundle, capsys):
    manifest = client.checked_manifest(bundle)
    for digest, expected in (
        (manifest["digest"], 5.0),
        ("0" * 64, manifest["decision"]["threshold"]),
    ):
        content = json.dumps({"bundle": digest, "threshold": 5.0})
        (bundle / "local.json").write_text(content)
        assert client.threshold_in_force(bundle, manifest) == expected
    assert "another bundle" in capsys.readouterr().err


@pytest.mark.slow
def test_the_client_conforms(bundle_paths):
    command = ClientCommand(
        f"{sys.executable} {SCRIPT} {{bundle}} {{frames}}", 60
    )
    with Inspector.open(bundle_paths["padim"], runtime="onnxruntime") as opened:
        result = examine(opened, command, most=2, batches=True)
    assert result.findings == ()
    assert result.passed
