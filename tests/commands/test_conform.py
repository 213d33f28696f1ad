"""anomedge conform: exit codes and output."""

import json
import sys

import pytest

from tests.commands.running import run

CLIENT = """
import json, sys
import numpy as np
from anomedge import Inspector
with Inspector.open(sys.argv[1], runtime="onnxruntime") as inspector:
    for path in sys.argv[2:]:
        frame = inspector.read(path)[..., ::STEP]
        result = inspector.predict(np.ascontiguousarray(frame))
        print(json.dumps({"score": result.score, "label": result.label}))
"""


def client(tmp_path, step: int) -> str:
    script = tmp_path / "client.py"
    script.write_text(CLIENT.replace("STEP", str(step)))
    return f"{sys.executable} {script} {{bundle}} {{frame}}"


@pytest.mark.slow
def test_a_right_client_ends_with_0(bundle_paths, tmp_path, capsys):
    path = bundle_paths["padim"]
    options = ("--frames", 2, "--runtime", "onnxruntime")
    assert run("conform", path, "--client", client(tmp_path, 1), *options) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "the client conforms: 6 frames" in shown
    assert "not examined: batch" in shown


@pytest.mark.slow
def test_a_client_that_departs_ends_with_3(bundle_paths, tmp_path, capsys):
    path = bundle_paths["padim"]
    options = ("--frames", 2, "--runtime", "onnxruntime", "--json")
    assert run("conform", path, "--client", client(tmp_path, -1), *options) == 3
    shown = capsys.readouterr()
    content = json.loads(shown.out)
    assert not content["passed"]
    assert [found["stage"] for found in content["findings"]] == ["colour"]
    assert "colour" in shown.err


def test_wrong_use_ends_with_2(bundle_paths, capsys):
    path = bundle_paths["padim"]
    assert run("conform", path, "--client", "true {bundle}") == 2
    assert "{frame}" in capsys.readouterr().err
