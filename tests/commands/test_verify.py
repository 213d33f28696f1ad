"""The verb verify: its reference, its certificate, its exit code."""

import json
import shutil

import numpy as np
import pytest

from anomedge.bundle import Bundle, LocalSettings, write_local
from tests.commands.running import run
from tests.conftest import RUNTIMES


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
    # As many at the threshold of the export.
    assert certificate["pictures"]["blended"] == 40
    assert (
        certificate["cells"][0]["smallest_margin"] * certificate["scale"]
        <= 0.01 * threshold
    )


def test_a_wrong_float_model_is_refused_before_the_proof(
    bundle_paths, model_paths, pictures, monkeypatch, capfd
):
    monkeypatch.setattr(
        "anomedge.commands.verify.certify",
        lambda *_, **__: pytest.fail("the proof ran"),
    )
    model = model_paths["padim"]
    given = ["verify", bundle_paths["padim"], "--model", model, "--images"]
    wrong = ["--float-model", model_paths["patchcore"]]
    assert run(*given, pictures / "test", *wrong) == 2
    assert "is not the float model of" in capfd.readouterr().err
