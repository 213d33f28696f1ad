"""The command line as a person and as a machine use it."""

import csv
import json
import shutil
import subprocess
import sys
from importlib import import_module
from pkgutil import iter_modules

import numpy as np
import pytest
from PIL import Image

from anomedge import commands
from anomedge.__main__ import application
from anomedge.bundle import Bundle, LocalSettings, write_local
from anomedge.commands._arguments import (
    parse_batch,
    parse_size,
    spread_values,
)
from anomedge.commands._exit_codes import run_to_exit_code
from anomedge.errors import InputError, ProofFailed
from tests.conftest import FRAME, RUNTIMES

VERBS = sorted(
    m.name
    for m in iter_modules(commands.__path__)
    if not m.name.startswith("_")
)
EXPORT = ["export", "m", "-o", "b", "--frame", "9x9", "--golden", "synthetic"]


def run(*arguments):
    return run_to_exit_code(
        lambda given: application()(given, prog_name="anomedge"),
        [str(a) for a in arguments],
    )


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


def test_version_and_bare_call(capsys):
    from anomedge import __version__

    assert run("--version") == 0
    assert capsys.readouterr().out.strip() == __version__
    assert run() == 2


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
            [*EXPORT, "--precision", "int8"],
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


def test_debug_shows_the_traceback(capfd):
    assert run("verify", "missing.anomedge", "--debug") == 2
    assert "Traceback" in capfd.readouterr().err


def test_exit_codes_of_errors(capfd):
    def raising(error):
        def command(_):
            raise error

        return command

    assert run_to_exit_code(raising(InputError("x")), []) == 2
    assert run_to_exit_code(raising(ProofFailed("x")), []) == 3
    assert run_to_exit_code(raising(KeyboardInterrupt()), []) == 130
    assert (
        run_to_exit_code(raising(ModuleNotFoundError("no", name="torch")), [])
        == 2
    )
    assert "torch is not installed here" in capfd.readouterr().err


def test_messages_are_printable_and_no_longer_than_anybody_reads():
    assert str(InputError("a\x1b[2Jb\u202ec\nd")) == "a\\x1b[2Jb\\u202ec\\nd"
    long = str(InputError("start" + "x" * 100_000 + "end"))
    assert len(long) < 4100
    assert long.startswith("start") and long.endswith("end")


def test_several_values_after_one_option():
    assert spread_values(["--batch", "1", "8", "--json"]) == [
        "--batch",
        "1",
        "--batch",
        "8",
        "--json",
    ]
    assert spread_values(["--runtime", "ort", "b.anomedge"]) == [
        "--runtime",
        "ort",
        "b.anomedge",
    ]
    assert spread_values(["b", "--batch", "1", "--runtime", "ort", "ov"]) == [
        "b", "--batch", "1", "--runtime", "ort", "--runtime", "ov",
    ]  # fmt: skip
    with pytest.raises(InputError):
        parse_batch("0")
    with pytest.raises(InputError):
        parse_size("1x2x3")


@pytest.mark.slow
def test_verify_on_the_host(
    bundle_paths, model_paths, pictures, detector, tmp_path, capsys
):
    bundle = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths[detector], bundle)
    arguments = [
        "verify",
        bundle,
        "--model",
        model_paths[detector],
        "--images",
        pictures / "test",
        "--batch",
        "1",
        "3",
    ]
    assert run(*arguments) == 0
    shown = capsys.readouterr().out
    assert "against eager torch" in shown
    assert "FAILED" not in shown
    assert run(*arguments, "--json") == 0
    certificate = json.loads(capsys.readouterr().out)
    assert {(c["runtime"], c["batch"]) for c in certificate["cells"]} == {
        (r, b) for r in RUNTIMES for b in (1, 3)
    }
    assert (
        json.loads((bundle / "certificates" / "host.json").read_text())
        == certificate
    )


def test_verify_on_a_device_keeps_its_certificate(
    bundle_paths, tmp_path, capsys
):
    bundle = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["patchcore"], bundle)
    assert (
        run(
            "verify",
            bundle,
            "--runtime",
            "ov",
            "--batch",
            "2",
            "--name",
            "line 3",
        )
        == 0
    )
    assert "against golden frames" in capsys.readouterr().out
    assert (bundle / "certificates" / "line-3.json").is_file()
    # The certificate did not break the bundle.
    assert run("verify", bundle) == 0


def test_verify_compares_runtimes_and_says_so(bundle_paths, pictures, capsys):
    assert (
        run(
            "verify",
            bundle_paths["padim"],
            "--images",
            pictures / "train",
            "--batch",
            "1",
        )
        == 0
    )
    assert "runtimes only" in capsys.readouterr().out
    arguments = [
        "verify",
        bundle_paths["padim"],
        "--images",
        pictures / "train",
        "--runtime",
        RUNTIMES[0],
    ]
    assert run(*arguments) == 2


def test_verify_fails_with_3(tampered, capfd):
    shutil.rmtree(tampered / "certificates")
    assert run("verify", tampered, "--batch", "1") == 3
    said = capfd.readouterr()
    assert "the proof failed" in said.err
    assert not list((tampered / "certificates").glob("*"))


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


def test_force_replaces_bundles_only(model_paths, pictures, tmp_path, capfd):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    arguments = [
        "export",
        model_paths["padim"],
        "-o",
        tmp_path / "mine",
        "--frame",
        "96x128",
        "--golden",
        "synthetic",
    ]
    assert run(*arguments, "--force") == 2
    assert "is no bundle" in capfd.readouterr().err
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


@pytest.mark.slow
def test_verify_blends_to_the_threshold_in_force(
    bundle_paths, model_paths, pictures, tmp_path, capsys
):
    bundle = tmp_path / "part.anomedge"
    shutil.copytree(bundle_paths["padim"], bundle)
    scores = np.sort(np.load(bundle / "golden" / "score.npy")[:6])
    threshold = float(scores[:2].mean())
    write_local(Bundle.open(bundle), LocalSettings(threshold=threshold))
    arguments = [
        "--model",
        model_paths["padim"],
        "--images",
        pictures / "test",
        "--batch",
        "1",
        "--runtime",
        "ort",
    ]
    assert run("verify", bundle, *arguments, "--json") == 0
    certificate = json.loads(capsys.readouterr().out)
    assert certificate["threshold"] == threshold
    assert certificate["pictures"]["blended"] == 20
    assert (
        certificate["cells"][0]["smallest_margin"] * certificate["scale"]
        <= 0.01 * threshold
    )


def test_predict_writes_results_and_overlays(
    bundle_paths, pictures, tmp_path, capsys
):
    out = tmp_path / "out"
    assert (
        run(
            "predict",
            bundle_paths["padim"],
            pictures / "test",
            "-o",
            out,
            "--json",
        )
        == 0
    )
    rows = json.loads(capsys.readouterr().out)
    assert [r["picture"] for r in rows] == sorted(r["picture"] for r in rows)
    assert len(rows) == 7
    with (out / "results.csv").open() as file:
        assert [r["label"] for r in csv.DictReader(file)] == [
            r["label"] for r in rows
        ]
    with Image.open(out / "overlays" / rows[0]["picture"]) as overlay:
        assert overlay.size == (FRAME[1], FRAME[0])


def test_predict_skips_and_names_what_it_cannot_read(
    bundle_paths, pictures, tmp_path, capfd
):
    folder = tmp_path / "in"
    shutil.copytree(pictures / "test" / "good", folder)
    (folder / "bad.png").write_bytes(b"no picture")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / "small.png")
    assert run("predict", bundle_paths["padim"], folder) == 2
    said = capfd.readouterr()
    assert len(said.out.splitlines()) == 3
    assert "2 of 5 pictures were skipped" in said.err
    assert "bad.png" in said.err
    assert "small.png" in said.err


def test_modules_run_as_programs():
    for module, example in (
        ("anomedge", "fit"),
        ("anomedge.export", "--frame"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", module, "--help"],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert example in done.stdout
