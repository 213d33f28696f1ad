"""Bundles and certificates whose hashes are right and whose claims are not: whoever can write a bundle can sign it again."""

import json
import shutil

import numpy as np
import pytest

from anomedge.bundle import Bundle
from anomedge.parity import cells
from anomedge.parity.outputs import Outputs
from anomedge.parity.stored import (
    stored_certificates,
)
from tests.commands.running import run
from tests.parity.forging import ONE, sign, statement


@pytest.mark.slow
def test_a_machine_called_host_does_not_take_the_place_of_eager_torch(
    copy, monkeypatch
):
    before = (copy / "certificates" / "host.json").read_bytes()
    monkeypatch.setattr("platform.node", lambda: "HOST")
    assert run("verify", copy, *ONE) == 0
    assert (copy / "certificates" / "host.json").read_bytes() == before
    assert (copy / "certificates" / "device.json").is_file()
    assert run("verify", copy, *ONE, "--name", "Host") == 2


@pytest.mark.slow
def test_golden_frames_without_stages_prove_no_stages(copy, capfd):
    golden = [entry | {"stages": False} for entry in statement(copy, "golden")]
    for folder in (copy / "golden").iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)
    sign(copy, golden=golden)
    assert run("verify", copy, *ONE) == 3
    assert "not checked: preprocessed" in capfd.readouterr().err


@pytest.mark.slow
def test_the_decision_of_the_device_is_shown_and_no_failure(
    copy, model_paths, pictures, capfd
):
    assert run("threshold", copy, "--set", "3.5") == 0
    capfd.readouterr()
    arguments = (
        "verify",
        copy,
        "--model",
        model_paths["padim"],
        "--images",
        pictures / "test",
        *ONE,
    )
    assert run(*arguments, "--json") == 0
    certificate = json.loads(capfd.readouterr().out)
    assert certificate["local_thresholds"]
    assert certificate["threshold"] == 3.5
    assert run(*arguments) == 0
    said = capfd.readouterr().out
    assert "local      threshold 3.5" in said
    assert "in force   local.json" in said


@pytest.mark.slow
def test_a_flip_at_the_threshold_of_the_export_counts_beside_the_devices_own(
    copy, proven, monkeypatch
):
    bundle = Bundle.open(copy)
    threshold = bundle.manifest.decision.threshold
    assert run("threshold", copy, "--set", str(threshold * 50)) == 0

    def moved(session, pictures, frame, batch):
        maps = np.zeros(
            (len(pictures), 1, *bundle.manifest.geometry.image),
            dtype=np.float32,
        )
        return Outputs(np.full(len(pictures), threshold * 1.01), maps)

    monkeypatch.setattr(cells, "collect", moved)
    lines = [
        line
        for line in proven(Bundle.open(copy), blended=0).failures
        if "flipped" in line
    ]
    assert lines
    assert all("at the threshold of the export" in line for line in lines)


@pytest.mark.slow
def test_wider_tolerances_are_the_users_to_ask_for_and_are_said(copy, capfd):
    tolerances = statement(copy, "tolerances")
    sign(
        copy,
        tolerances=tolerances
        | {
            "fp32": {
                name: 2 * value for name, value in tolerances["fp32"].items()
            }
        },
    )
    assert run("verify", copy, *ONE) == 3
    assert run("verify", copy, *ONE, "--widen", "2", "--name", "line7") == 0
    assert "caution: tolerances widened 2 times" in " ".join(
        capfd.readouterr().out.split()
    )
    (stored,) = [
        stored
        for stored in stored_certificates(Bundle.open(copy))
        if stored.name == "line7.json"
    ]
    assert "tolerances widened 2 times" in stored.verdict
    assert run("verify", copy, "--widen", "0.5") == 2
    assert run("verify", copy, "--widen", "1000") == 2


def test_a_frame_that_no_graph_takes_is_refused_before_eager_torch_works(
    copy, model_paths, monkeypatch, capfd
):
    sign(
        copy, input=statement(copy, "input") | {"height": 16384, "width": 16384}
    )
    monkeypatch.setattr(
        "anomedge.export.proof.reference_from_model",
        lambda *_, **__: pytest.fail("eager Torch ran"),
    )
    assert run("verify", copy, "--model", model_paths["padim"], *ONE) == 2
    assert "16384" in capfd.readouterr().err


@pytest.mark.slow
def test_two_black_pictures_are_few(copy, model_paths, tmp_path, capfd):
    from PIL import Image

    (tmp_path / "black").mkdir()
    for name in ("a", "b"):
        Image.new("RGB", (128, 96)).save(tmp_path / "black" / f"{name}.png")
    arguments = (
        "verify",
        copy,
        "--model",
        model_paths["padim"],
        "--images",
        tmp_path / "black",
        *ONE,
    )
    assert run(*arguments) == 0
    said = " ".join(capfd.readouterr().out.split())
    assert (
        "caution: few pictures: 2 of your own, 2 of them uniform, repeated or nearly equal"
        in said
    )
    assert "caution: none of the pictures given is" in said
