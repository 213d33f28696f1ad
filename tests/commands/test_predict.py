"""`anomedge predict`: whatever happens to one picture or to the disk, the other results stay."""

import csv
import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomedge.bundle import Bundle, write_local
from anomedge.commands import _result_files
from anomedge.commands._result_files import (
    ResultsFile,
)
from anomedge.images import read_picture
from anomedge.station.calibration import override_thresholds
from tests.commands.running import run
from tests.conftest import FRAME


@pytest.fixture
def part(bundle_paths, tmp_path) -> Path:
    return Path(
        shutil.copytree(bundle_paths["padim"], tmp_path / "part.anomedge")
    )


@pytest.fixture
def folder(pictures, tmp_path) -> Path:
    """Three good pictures, under the names that were trouble."""
    good = sorted((pictures / "test" / "good").glob("*.png"))
    target = tmp_path / "in"
    target.mkdir()
    for path, name in zip(
        good,
        (b"a\x1b[31m\xff.png", b"n" * 251 + b".png", b"z.png"),
        strict=True,
    ):
        shutil.copy(path, target / os.fsdecode(name))
    return target


def test_several_pictures_and_folders_are_inspected(
    part, folder, pictures, capfd
):
    """A shell expands `*.png` to several arguments."""
    hole = pictures / "test" / "hole"
    given = (hole / "000.png", folder / "z.png", hole, "--runtime", "ort")
    assert run("predict", part, *given, "--json") == 0
    rows = json.loads(capfd.readouterr().out)
    root = os.path.commonpath([folder, hole])
    names = [str(Path(root, row["picture"])) for row in rows]
    expected = [hole / "000.png", folder / "z.png", *hole.glob("*.png")]
    assert sorted(names) == sorted(map(str, set(expected)))
    in_force = Bundle.open(part).decision.threshold
    assert {row["threshold"] for row in rows} == {in_force}


def test_an_output_in_any_of_the_folders_is_refused(
    part, folder, pictures, capfd
):
    given = (pictures / "test" / "hole", folder, "-o", folder / "out")
    assert run("predict", part, *given) == 2
    assert "the next run would inspect it" in " ".join(
        capfd.readouterr().err.split()
    )


@pytest.mark.parametrize("command", ["predict", "verify", "watch"])
def test_a_model_file_is_no_bundle(command, tmp_path, folder, capfd):
    model = tmp_path / "part.safetensors"
    model.touch()
    places = [] if command == "verify" else [folder]
    assert run(command, model, *places) == 2
    said = " ".join(capfd.readouterr().err.split())
    assert "this is a model file: export it first" in said


def test_odd_names_lose_no_result(part, folder, tmp_path, capfd):
    out = tmp_path / "out"
    assert run("predict", part, folder, "-o", out) == 0
    said = capfd.readouterr()
    assert "a\\x1b[31m\\xff.png" in said.out
    assert "\x1b[31m\udcff" not in said.out
    with (out / "results.csv").open(encoding="utf-8") as file:
        assert [r["picture"] for r in csv.DictReader(file)] == [
            "a\x1b[31m\\xff.png",
            "n" * 251 + ".png",
            "z.png",
        ]
    assert len(list((out / "overlays").glob("*.png"))) == 3


def test_what_cannot_be_read_is_named_and_the_rest_is_inspected(
    part, folder, tmp_path, capfd
):
    (folder / "b.pgm").write_bytes(b"")
    os.mkfifo(folder / "c.png")
    assert (
        run(
            "predict",
            part,
            folder,
            "-o",
            tmp_path / "out",
            "--format",
            "json",
            "--no-overlays",
        )
        == 2
    )
    said = capfd.readouterr().err
    assert "2 of 5 pictures and folders were skipped" in said
    assert "b.pgm: pictures ending in .pgm are not read" in said
    assert "c.png: a pipe or a device" in said
    assert len(json.loads((tmp_path / "out" / "results.json").read_text())) == 3


def test_a_disk_that_fills_up_leaves_what_was_decided(
    part, folder, tmp_path, capfd, monkeypatch
):
    plain = ResultsFile._write
    calls = []

    def write(self, data):
        calls.append(data)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        plain(self, data)

    monkeypatch.setattr(ResultsFile, "_write", write)
    assert (
        run("predict", part, folder, "-o", tmp_path / "out", "--no-overlays")
        == 2
    )
    said = capfd.readouterr()
    assert (
        "results.csv: No space left on device; earlier results are kept"
        in said.err
    )
    assert (
        len((tmp_path / "out" / "results.csv").read_text().splitlines())
        == 1 + 1
    )
    # The picture in hand was decided as well.
    assert len(said.out.splitlines()) == 2


def test_overlays_that_cannot_be_written_are_named_and_cost_no_result(
    part, folder, tmp_path, capfd, monkeypatch
):
    def full(*_, **__):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(_result_files.Image.Image, "save", full)
    assert run("predict", part, folder, "-o", tmp_path / "out") == 2
    said = capfd.readouterr().err
    assert (
        "every result is written, but 3 overlays could not be written" in said
    )
    assert (
        len((tmp_path / "out" / "results.csv").read_text().splitlines())
        == 1 + 3
    )


def test_local_thresholds_are_said_on_standard_error(part, folder, capfd):
    opened = Bundle.open(part)
    write_local(opened, override_thresholds(opened, 123.5, None))
    assert run("predict", part, folder, "--json") == 0
    said = capfd.readouterr()
    assert len(json.loads(said.out)) == 3
    assert (
        said.err.count(
            "local.json is in force: threshold 123.5 (the manifest's: "
        )
        == 1
    )
    assert "set by hand" in said.err


def test_a_calibration_takes_neither_masks_nor_anomalies(
    part, pictures, tmp_path, capfd
):
    normal = tmp_path / "n"
    shutil.copytree(
        pictures / "held_back", normal / "good", copy_function=shutil.copy
    )
    alone = calibration(part, normal / "good", capfd)
    Image.fromarray(np.full((*FRAME, 3), 255, np.uint8)).save(
        normal / "mask.png"
    )
    (normal / "ground_truth" / "scratch").mkdir(parents=True)
    shutil.move(
        normal / "mask.png",
        normal / "ground_truth" / "scratch" / "000_mask.png",
    )
    beside = calibration(part, normal, capfd)
    assert beside["local"]["count"] == alone["local"]["count"]
    assert beside["threshold"] == alone["threshold"]
    assert run("predict", part, normal, "--json") == 0
    said = capfd.readouterr()
    assert len(json.loads(said.out)) == alone["local"]["count"]
    assert "1 masks below ground_truth are left out" in said.err
    (normal / "scratch").mkdir()
    shutil.copy(
        next((normal / "good").rglob("*.png")), normal / "scratch" / "000.png"
    )
    assert run("threshold", part, "--normal", normal) == 2
    assert "holds anomalous pictures" in capfd.readouterr().err


def calibration(part: Path, folder: Path, capfd) -> dict:
    assert (
        run(
            "threshold",
            part,
            "--normal",
            folder,
            "--rate",
            "0.4",
            "--dry-run",
            "--json",
        )
        == 0
    )
    return json.loads(capfd.readouterr().out)


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


def test_predict_batches_formats_and_one_file(copy, pictures, tmp_path, capsys):
    one, many = tmp_path / "one", tmp_path / "many"
    assert run("predict", copy, pictures / "test", "-o", one) == 0
    assert (
        run(
            "predict",
            copy,
            pictures / "test",
            "-o",
            many,
            "--batch",
            "3",
            "--format",
            "json",
            "--no-overlays",
        )
        == 0
    )
    with (one / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    batched = json.loads((many / "results.json").read_text())
    assert [row["picture"] for row in rows] == [
        row["picture"] for row in batched
    ]
    assert [float(row["score"]) for row in rows] == pytest.approx(
        [row["score"] for row in batched], rel=1e-5
    )
    assert os.listdir(many) == ["results.json"]
    capsys.readouterr()
    assert (
        run("predict", copy, next((pictures / "test").rglob("*.png")), "--json")
        == 0
    )
    assert len(json.loads(capsys.readouterr().out)) == 1


@pytest.mark.filterwarnings("default")
def test_a_folder_in_other_light_is_warned_of(
    bundle_paths, pictures, tmp_path, capsys
):
    good = read_picture(next((pictures / "test" / "good").iterdir()))
    for number in range(14):
        Image.fromarray(good // 3).save(tmp_path / f"{number}.png")
    assert run("predict", bundle_paths["padim"], tmp_path, "--json") == 0
    said = capsys.readouterr()
    assert "these pictures differ from the normal ones" in said.err
    assert "brightness: median" in said.err
    rows = json.loads(said.out)
    assert all("brightness" in row["drift"] for row in rows)
