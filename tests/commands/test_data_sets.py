"""Data sets in the layouts that people have, through the commands."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from anomedge.images import list_pictures
from tests.commands.running import run
from tests.images.layouts import (
    LAYOUTS,
    kolektor,
    listed,
    magnetic_tile,
    photo,
    two_labels,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:got . normal pictures"),
    pytest.mark.filterwarnings("ignore:. pictures are too few for a rate"),
    pytest.mark.filterwarnings("ignore:the threshold catches"),
]
TINY = ("--size", "32x32", "--backbone", "test_efficientnet", "--weights", "random", "--layers", "blocks.0")  # fmt: skip


def fit(folder, target, *more) -> int:
    return run("fit", "padim", folder, "-o", target, *TINY, *more)


@pytest.fixture
def model(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture
def part(bundle_paths, tmp_path):
    return shutil.copytree(bundle_paths["padim"], tmp_path / "part.anomedge")


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_fitted_to(tmp_path, model, capfd, name):
    path = LAYOUTS[name](tmp_path / "set")
    label = ("--normal", "good") if name == "mvtec" else ()
    assert fit(path, model, "--holdout", "0.5", *label, "--json") == 0
    pictures = json.loads(capfd.readouterr().out)["pictures"]
    assert (pictures["fitted"], pictures["held_back"]) == (2, 2)
    masks = {"kolektor": 6, "magnetic-tile": 6, "01": 0, "ok-ng": 0, "good-bad": 0}  # fmt: skip
    assert pictures["left_out"].get("masks", 0) == masks.get(name, 2)


def test_the_last_line_says_what_was_left_out(tmp_path, model, capfd):
    kolektor(tmp_path / "kos")
    assert fit(tmp_path / "kos", model, "--holdout", "0.5") == 0
    said = capfd.readouterr().out.splitlines()
    assert said[-1] == (
        "pictures: 2 fitted, 2 held back; left out: 2 anomalous, 6 masks"
    )
    two_labels(tmp_path / "plain", "day1", "day2")
    again = ("--held-back", tmp_path / "plain", "--force")
    assert fit(tmp_path / "kos", model, *again) == 0
    assert capfd.readouterr().out.splitlines()[-1] == (
        "pictures: 4 fitted, 6 held back; left out: 2 anomalous, 6 masks"
    )


def test_the_last_line_says_that_no_picture_has_a_label(
    tmp_path, model, part, capfd
):
    two_labels(tmp_path / "set", "gut", "schlecht")
    assert fit(tmp_path / "set", model) == 0
    assert capfd.readouterr().out.splitlines()[-1] == (
        "pictures: 6 fitted; left out: none; "
        "unlabelled: all count as normal: gut 4, schlecht 2"
    )
    command = ("threshold", part, "--normal", tmp_path / "set", "--dry-run")
    assert run(*command) == 0
    assert "normal: gut 4, schlecht 2" in capfd.readouterr().err


def test_the_label_of_normal_pictures_may_be_given(tmp_path, model, capfd):
    two_labels(tmp_path / "set", "ok_front", "def_front")
    for option in ("--normal", "--normal-label"):
        more = (option, "ok_front", "--holdout", "0.5", "--force")
        assert fit(tmp_path / "set", model, *more) == 0
        last = capfd.readouterr().out.splitlines()[-1]
        assert last.endswith("left out: 2 anomalous")


def test_labelled_data_sets_place_the_threshold(tmp_path, model, capfd):
    path = listed(tmp_path / "set")
    assert fit(path, model, "--labelled", path) == 0
    assert capfd.readouterr().out.splitlines()[-1] == (
        "pictures: 4 fitted, 4 labelled; left out: 2 masks"
    )
    assert fit(path, model, "--held-back", path, "--force") == 0
    assert capfd.readouterr().out.splitlines()[-1] == (
        "pictures: 4 fitted, 2 held back; left out: 2 masks, 2 anomalous"
    )
    # Without splits, the same pictures would be fitted to and labelled.
    kolektor(tmp_path / "kos")
    twice = (tmp_path / "kos", model, "--labelled", tmp_path / "kos", "--force")
    assert fit(*twice) == 2
    assert "4 labelled pictures that are fitted on as well" in (
        capfd.readouterr().err
    )


def truncate(path):
    path.write_bytes(path.read_bytes()[:-200])


def deepen(path):
    Image.fromarray(np.zeros((9, 9), np.uint16)).save(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
@pytest.mark.parametrize("option", ["fitted", "--held-back", "--labelled"])
def test_unreadable_pictures_are_refused_before_the_fit(
    tmp_path, model, capfd, monkeypatch, option, suffix
):
    from anomedge.pipelines.padim import Padim

    monkeypatch.setattr(
        Padim, "fit", lambda *_: pytest.fail("the fit was begun")
    )
    for name in ("train", "ok", "ng"):
        for i in range(4):
            photo(tmp_path / "set" / name / f"{i}{suffix}")
    folders = {
        "fitted": ("train/3", ()),
        "--held-back": ("ok/3", (option, tmp_path / "set/ok")),
        "--labelled": ("ng/3", (option, tmp_path / "labelled")),
    }
    place, more = folders[option]
    truncate(tmp_path / "set" / f"{place}{suffix}")
    for name in ("ok", "ng"):
        shutil.copytree(tmp_path / "set" / name, tmp_path / "labelled" / name)
    assert fit(tmp_path / "set/train", model, *more) == 2
    error = capfd.readouterr().err
    assert f"3{suffix}: cannot be read as a picture" in error


def test_all_unreadable_pictures_are_named(tmp_path, model, capfd):
    for i in range(6):
        photo(tmp_path / "set" / f"{i}.png")
    truncate(tmp_path / "set/1.png")
    deepen(tmp_path / "set/2.png")
    assert fit(tmp_path / "set", model) == 2
    error = capfd.readouterr().err
    assert "2 of 6 pictures cannot be used" in error
    assert "1.png: cannot be read" in error
    assert "2.png: got 16 bits a channel" in error


def test_a_rate_is_refused_before_the_fit(tmp_path, model, capfd):
    photo(tmp_path / "set/a.png")
    assert fit(tmp_path / "set", model, "--rate", "1.5") == 2
    assert "got a false-alarm rate of 1.5" in capfd.readouterr().err


def test_a_calibration_leaves_out_anomalies_and_masks(tmp_path, part, capfd):
    magnetic_tile(tmp_path / "tiles")
    command = ("threshold", part, "--normal", tmp_path / "tiles", "--dry-run")
    assert run(*command, "--json") == 0
    said = capfd.readouterr()
    assert json.loads(said.out)["local"]["count"] == 4
    assert "left out: 2 anomalous, 6 masks" in said.err
    assert run(*command, "--normal-label", "MT_Crack", "--json") == 2
    assert "expected at least 2" in capfd.readouterr().err
    assert run("threshold", part, "--normal-label", "ok") == 2
    assert "--normal-label without --normal" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["kolektor", "magnetic-tile", "visa", "csv"])
def test_masks_are_not_inspected(tmp_path, part, capfd, name):
    path = LAYOUTS[name](tmp_path / "set")
    assert run("predict", part, path, "-o", tmp_path / "out", "--json") == 0
    said = capfd.readouterr()
    names = [row["picture"] for row in json.loads(said.out)]
    assert len(names) in {6, 8}
    if name != "csv":
        assert "masks beside pictures or below ground_truth" in said.err
    drawn = list_pictures(tmp_path / "out/overlays")
    assert len(drawn) == len(names)


@pytest.mark.parametrize("name", ["magnetic-tile", "csv"])
def test_proofs_know_labels_and_masks(tmp_path, part, capfd, name):
    path = LAYOUTS[name](tmp_path / "set")
    assert run("verify", part, "--images", path, "--batch", "1", "--json") == 0
    assert "auroc" in capfd.readouterr().out.lower()
