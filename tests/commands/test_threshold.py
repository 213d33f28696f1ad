"""The verb threshold: from normal pictures, by hand, back to the export's, and only of the bundle that was opened."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from anomedge.bundle import Bundle
from anomedge.commands import threshold
from anomedge.images import list_pictures, read_picture
from anomedge.threshold import interval_of_rate
from tests.bundle.exchanging import exchanging, files_of, put_beside
from tests.commands.running import run
from tests.conftest import RUNTIMES


@pytest.mark.filterwarnings("default")
def test_a_defect_among_the_normal_pictures_is_named_and_does_not_count(
    copy, pictures, tmp_path, capsys
):
    held_back = list_pictures(pictures / "held_back")
    folder = tmp_path / "normal"
    folder.mkdir()
    frames = [read_picture(path) for path in held_back]
    for number in range(12):
        frame = frames[number % 6] // 2 + 64 + number // 6
        Image.fromarray(frame).save(folder / f"{number:02}.png")
    assert (
        run("threshold", copy, "--normal", folder, "--dry-run", "--json") == 0
    )
    before = json.loads(capsys.readouterr().out)["threshold"]
    Image.fromarray(np.zeros_like(frames[0])).save(folder / "zz.png")
    assert (
        run("threshold", copy, "--normal", folder, "--dry-run", "--json") == 0
    )
    said = capsys.readouterr()
    assert "look at zz.png" in said.err
    assert json.loads(said.out)["written"] is False
    assert json.loads(said.out)["threshold"] == pytest.approx(before, rel=0.05)


def test_recalibrated_on_the_device(copy, pictures, capsys):
    digest = Bundle.open(copy).manifest.digest
    assert (
        run(
            "threshold",
            copy,
            "--normal",
            pictures / "held_back",
            "--rate",
            "0.4",
            "--json",
        )
        == 0
    )
    shown = json.loads(capsys.readouterr().out)
    bundle = Bundle.open(copy)
    assert bundle.manifest.digest == digest
    assert (
        bundle.decision.threshold
        == shown["threshold"]
        != bundle.manifest.decision.threshold
    )
    assert bundle.decision.scale == bundle.manifest.decision.scale
    local = shown["local"]
    assert (
        local["alarms"],
        local["count"],
        local["rate"],
        local["bundle"],
    ) == (2, 6, 0.4, digest)
    assert local["interval"] == pytest.approx(interval_of_rate(2, 6))
    assert (
        local["by"]
        and local["when"].endswith("+00:00")
        and "held_back" in local["pictures"]
    )
    assert run("predict", copy, pictures / "held_back", "--json") == 0
    labels = [row["label"] for row in json.loads(capsys.readouterr().out)]
    assert labels.count("anomalous") == 2
    assert run("threshold", copy) == 0
    assert "2 of 6 above it, aimed at 0.4" in capsys.readouterr().out
    # The proof is made at the new threshold.
    assert run("verify", copy, "--runtime", RUNTIMES[0], "--batch", "1") == 0


def test_set_by_hand_and_back(copy, capsys):
    before = Bundle.open(copy).decision
    assert run("threshold", copy, "--set", "-1.5", "--dry-run") == 0
    assert Bundle.open(copy).decision == before
    shown = capsys.readouterr().out
    assert "nothing was written" in shown
    assert f"still threshold {before.threshold:.6g}" in shown
    assert run("threshold", copy, "--set", "-1.5") == 0
    assert "in force   local.json" in capsys.readouterr().out
    assert run("threshold", copy, "--set-pixel", "7") == 0
    assert (
        Bundle.open(copy).decision.threshold,
        Bundle.open(copy).decision.pixel_threshold,
    ) == (-1.5, 7)
    assert run("threshold", copy, "--reset") == 0
    assert Bundle.open(copy).decision == before
    assert run("threshold", copy, "--reset") == 0


def test_settings_of_another_bundle_are_refused(
    copy, bundle_paths, tmp_path, capfd
):
    assert run("threshold", copy, "--set", "1") == 0
    other = tmp_path / "other.anomedge"
    shutil.copytree(bundle_paths["padim"], other)
    shutil.copy(copy / "local.json", other)
    assert run("inspect", other) == 2
    assert "was written for another bundle" in capfd.readouterr().err
    assert run("threshold", other, "--reset") == 0
    assert run("inspect", other) == 0


@pytest.mark.parametrize(
    "arguments",
    [["--normal", "GOOD", "--rate", "0.4"], ["--set", "1"], ["--reset"]],
)
def test_a_bundle_exchanged_meanwhile_keeps_its_own_threshold(
    copy, bundle_paths, pictures, monkeypatch, capfd, arguments
):
    """Its `local.json` would be one of another bundle, and it could not be opened any more."""
    other = put_beside(copy, bundle_paths["padim"])
    before, first = files_of(other), Bundle.open(copy).manifest.digest[:12]
    exchange = exchanging(copy, other)
    for name in ("write_local", "remove_local"):
        monkeypatch.setattr(threshold, name, exchange(getattr(threshold, name)))
    places = {"GOOD": pictures / "held_back"}
    assert (
        run(
            "threshold",
            copy,
            *(places.get(argument, argument) for argument in arguments),
        )
        == 2
    )
    said = capfd.readouterr().err
    second = Bundle.open(copy).manifest.digest[:12]
    assert (
        f"got another bundle ({second}) there; expected the one that was opened ({first}): run the command again"
        in said
    )
    assert files_of(copy) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "nan"], "expected a finite number"),
        (["--set", "1", "--reset"], "expected one of them at a time"),
        (["--rate", "0.1"], "without --normal"),
        (["--normal", "GOOD", "--rate", "0"], "expected one between 0 and 1"),
        (["--normal", "GOOD", "--rate", "2"], "expected one between 0 and 1"),
        (["--normal", "TEST"], "expected only normal pictures"),
    ],
)
def test_thresholds_that_make_no_sense(copy, pictures, capfd, arguments, said):
    places = {"GOOD": pictures / "held_back", "TEST": pictures / "test"}
    assert (
        run(
            "threshold",
            copy,
            *(places.get(argument, argument) for argument in arguments),
        )
        == 2
    )
    assert said in capfd.readouterr().err
    assert not (copy / "local.json").exists()


def test_a_given_folder_holds_the_thresholds(copy, tmp_path, capsys):
    given = ("--local", tmp_path / "mine", "--json")
    assert run("threshold", copy, "--set", "5", *given) == 0
    capsys.readouterr()
    for command in ("threshold", "inspect"):
        assert run(command, copy, *given) == 0
        shown = json.loads(capsys.readouterr().out)
        assert shown["local"]["threshold"] == 5.0
        assert shown["local_path"].startswith(str(tmp_path / "mine"))
    assert run("inspect", copy, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["local"], shown["local_path"]) == (None, None)


def test_a_model_has_no_thresholds_of_a_device(tmp_path, capfd):
    (tmp_path / "model.safetensors").write_bytes(b"")
    given = ("--local", tmp_path)
    assert run("inspect", tmp_path / "model.safetensors", *given) == 2
    assert "a model has no local.json" in " ".join(
        capfd.readouterr().err.split()
    )


@pytest.mark.parametrize(
    "more", [["--dry-run"], ["--device", "gpu"], ["--threads", "2"]]
)
def test_options_that_baking_does_not_follow_are_refused(tmp_path, capfd, more):
    own = ["--bake", "--model", tmp_path / "m", "-o", tmp_path / "new"]
    assert run("threshold", tmp_path / "none", *own, *more) == 2
    assert f"got {more[0]} with --bake" in capfd.readouterr().err
