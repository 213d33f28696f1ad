"""anomedge deploy: configurations of other programs, written as a whole or not at all."""

import json

import pytest

from tests.commands.running import run


def test_the_files_of_a_script(bundle_paths, tmp_path, capfd):
    target = tmp_path / "out"
    root = bundle_paths["padim"]
    assert run("deploy", root, "--for", "trtexec", "-o", target, "--json") == 0
    said = json.loads(capfd.readouterr().out)
    assert said["files"] == ["build.sh", "model.onnx"]
    assert sorted(p.name for p in target.iterdir()) == said["files"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--for", "deepstream", "-o", "out"],
            "export with --layout nchw-rgb-255",
        ),
        (["--for", "martian", "-o", "out"], "expected one of: deepstream"),
        (["--for", "trtexec", "-o", "inside"], "expected a place outside"),
    ],
)
def test_what_cannot_be_written_is_refused(
    bundle_paths, tmp_path, capfd, arguments, said
):
    root = bundle_paths["padim"]
    *others, name = arguments
    target = root / "in" if name == "inside" else tmp_path / name
    assert run("deploy", root, *others, target) == 2
    assert said in " ".join(capfd.readouterr().err.split())
    assert not target.exists()
