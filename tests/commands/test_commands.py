"""Laws of all verbs: help, wrong use in one line, and the generated reference."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

from anomedge import commands
from tests.commands.running import run

VERBS = sorted(
    m.name
    for m in iter_modules(commands.__path__)
    if not m.name.startswith("_")
)
EXPORT = ["export", "m", "-o", "b", "--frame", "9x9", "--golden", "synthetic"]


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_an_example(verb, capsys):
    module = import_module(f"anomedge.commands.{verb}")
    assert run(getattr(module, "NAME", verb), "--help") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert module.EXAMPLE in shown
    if verb == "fit":
        assert run("fit", "padim", "--help") == 0
        shown = capsys.readouterr().out
    assert "--json" in shown


def test_fit_lists_the_detectors_that_can_be_fitted(capsys):
    """A model of anomalib is imported; a command that always fails helps nobody."""
    assert run("fit", "--help") == 0
    shown = capsys.readouterr().out
    assert "patchcore" in shown
    assert "anomalib" not in shown
    assert run("fit", "anomalib", ".", "-o", "m.safetensors") == 2
    assert "anomedge import --with-anomalib" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", "missing.anomedge"], "expected the folder of a bundle"),
        (
            ["fit", "padim", "missing", "-o", "m.safetensors"],
            "expected a folder of pictures",
        ),
        (
            ["fit", "nothing", ".", "-o", "m.safetensors"],
            "got detector 'nothing'",
        ),
        (
            ["fit", "padim", ".", "-o", "m.safetensors", "--size", "64"],
            "expected height x width",
        ),
        (
            ["fit", "padim", ".", "-o", "m.safetensors", "--coreset", "0.1"],
            "No such option: --coreset",
        ),
        (["fit", "padim", ".", "-o", "no/m.safetensors"], "make it first"),
        (
            [
                "export",
                "missing.safetensors",
                "-o",
                "b",
                "--frame",
                "9x9",
                "--golden",
                "synthetic",
            ],
            "missing.safetensors cannot be read",
        ),
        (
            [
                "export",
                "missing.safetensors",
                "-o",
                "b",
                "--frame",
                "9x9",
                "--batch",
                "many",
                "--golden",
                "synthetic",
            ],
            "got batch 'many'",
        ),
        (
            [*EXPORT, "--precision", "int4"],
            "got precision",
        ),
        (
            [*EXPORT, "--opset", "16"],
            "got opset 16",
        ),
        (
            [*EXPORT, "--opset", "99"],
            "one from 17 to",
        ),
        (
            ["predict", "missing.anomedge", "nowhere.png"],
            "nowhere.png, which does not exist",
        ),
        (["verify"], "bundle"),
        (["nonsense"], "nonsense"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(
    arguments, said, capfd, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    error = capfd.readouterr().err
    assert said in " ".join(error.split())
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_a_graph_in_place_of_a_model_or_a_bundle_is_refused_as_what_it_is(
    bundle_paths, capfd
):
    graph, ir = (
        str(bundle_paths["padim"] / name)
        for name in ("model.onnx", "openvino/model.xml")
    )
    for arguments, said in (
        (
            ["inspect", graph],
            "no model of anomedge (it does not begin as one); expected a file that `anomedge fit` wrote",
        ),
        (
            ["verify", str(bundle_paths["padim"]), "--model", ir],
            "no model of anomedge (it does not begin as one)",
        ),
        (
            ["build", ir, "--runtime", "ort"],
            f"got the IR {ir}; expected an .onnx file",
        ),
        (["bench", graph], f"give {bundle_paths['padim']}, which it lies in"),
    ):
        assert run(*arguments) == 2
        assert said in " ".join(capfd.readouterr().err.split())


def test_errors_that_nobody_expected_are_one_line_too(
    bundle_paths, pictures, tmp_path, capfd
):
    (tmp_path / "file").write_text("")
    assert (
        run(
            "predict",
            bundle_paths["padim"],
            pictures / "test",
            "-o",
            tmp_path / "file",
        )
        == 2
    )
    assert run("verify", bundle_paths["padim"], "--precision", "fp16") == 2
    assert run("demo", "-o", pictures) == 2
    assert "no demo's" in capfd.readouterr().err
    assert (pictures / "test").is_dir()


ROOT = Path(__file__).parents[2]


def test_the_reference_is_the_commands_own():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "reference", "--check"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
