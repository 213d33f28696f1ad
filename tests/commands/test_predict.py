"""`anomedge predict` and its files: whatever happens to one picture or to the disk, the other results stay."""

import csv
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomedge.bundle import Bundle, write_local
from anomedge.commands import _result_files
from anomedge.commands._result_files import (
    Format,
    Overlays,
    ResultsFile,
    overlay_names,
)
from anomedge.errors import OutputError
from anomedge.files import atomic as files
from anomedge.files import canonical_json
from anomedge.station.calibration import override_thresholds
from tests.commands.running import run
from tests.conftest import FRAME


def row(number: int) -> dict:
    return {
        "picture": f"{number}.png",
        "label": "normal",
        "score": 0.5,
        "anomalous_pixels": 0.0,
        "milliseconds": 1.0,
    }


# --- the results' file -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [[], [1], [2, 0, 1]])
def test_json_is_whole_after_every_addition_and_canonical(tmp_path, counts):
    rows: list[dict] = []
    with ResultsFile(tmp_path, Format.json) as results:
        assert json.loads(results.path.read_bytes()) == []
        for count in counts:
            more = [row(len(rows) + i) for i in range(count)]
            rows += more
            results.add(more)
            assert json.loads(results.path.read_bytes()) == rows
    assert results.path.read_bytes() == canonical_json(rows)


def test_csv_has_whole_lines_after_every_addition(tmp_path):
    (tmp_path / "results.csv").write_text("an earlier run's")
    with ResultsFile(tmp_path, Format.csv) as results:
        for number in range(3):
            results.add([row(number)])
            with results.path.open() as file:
                assert [r["picture"] for r in csv.DictReader(file)] == [
                    f"{i}.png" for i in range(number + 1)
                ]


class Failing:
    """A file that takes half of a write, then fails; and works again."""

    def __init__(self, file, number):
        self.file, self.number, self.calls = file, number, 0

    def write(self, data):
        self.calls += 1
        if self.calls == 1:
            return self.file.write(data[: len(data) // 2])
        if self.calls == 2:
            raise OSError(self.number, os.strerror(self.number))
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("before", [0, 2])
def test_a_write_that_fails_half_way_leaves_what_was_there(
    tmp_path, form, number, before
):
    results = ResultsFile(tmp_path, form)
    for place in range(before):
        results.add([row(place)])
    held = results.path.read_bytes()
    plain, results._file = results._file, Failing(results._file, number)
    with pytest.raises(OutputError, match=os.strerror(number)):
        results.add([row(9)])
    assert results.path.read_bytes() == held
    results._file = plain
    results.add([row(10)])
    results.close()
    assert (
        b"10.png" in results.path.read_bytes()
        and b"9.png" not in results.path.read_bytes()
    )


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_limit_on_file_sizes_leaves_whole_results(tmp_path, form):
    code = f"""
import resource, sys
from pathlib import Path
from anomedge.commands._result_files import Format, ResultsFile
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
results = ResultsFile(Path(sys.argv[1]), Format.{form})
for number in range(1000):
    row = {row(0)!r}
    results.add([row | {{"picture": f"{{number}}.png"}}])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True
    )
    assert "OutputError: cannot write" in done.stderr
    assert "File too large; earlier results are kept" in done.stderr
    text = (tmp_path / f"results.{form}").read_text()
    assert text.endswith("\n")
    rows = (
        json.loads(text)
        if form == "json"
        else list(csv.DictReader(text.splitlines()))
    )
    assert len(rows) > 3
    assert [r["picture"] for r in rows] == [
        f"{i}.png" for i in range(len(rows))
    ]


# --- overlays --------------------------------------------------------------------------------------------------------


def test_every_picture_has_an_overlay_of_its_own():
    names = [
        "a.bmp",
        "a.bmp.png",
        "a.png",
        "b.jpg",
        "b.jpg.png/c.png",
        "d/a.bmp",
        "n" * 251 + ".png",
        "\udcff.png",
    ]
    names += ["n" * 250 + "m.png", "é" * 120 + ".tif"]
    found = overlay_names(names)
    assert len(set(found.values())) == len(names)
    assert [found[n] for n in ("a.png", "a.bmp.png", "d/a.bmp")] == [
        "a.png",
        "a.bmp.png",
        "d/a.bmp.png",
    ]
    assert found["b.jpg"] != "b.jpg.png"  # a folder of other overlays
    for path in map(Path, found.values()):
        assert path.suffix == ".png"
        assert len(path.name.encode()) <= 230
    assert overlay_names(names) == found


def test_a_folder_is_listed_once_however_many_overlays_are_written(
    tmp_path, monkeypatch
):
    listed = []
    plain = Path.iterdir
    monkeypatch.setattr(
        Path, "iterdir", lambda path: listed.append(path) or plain(path)
    )
    left = tmp_path / "out" / ".old.png.abcdefgh.tmp"
    foreign = tmp_path / "out" / ".notes.txt.abcdefgh.tmp"
    left.parent.mkdir()
    for path in (left, foreign):
        path.write_bytes(b"")
        os.utime(path, (0, 0))
    names = [f"{number}.png" for number in range(20)]
    overlays = Overlays(tmp_path / "out", names)
    for name in names:
        overlays.write(name, np.zeros((4, 4, 3), np.uint8))
    assert listed == [tmp_path / "out"]
    assert not left.exists()
    assert foreign.exists()
    assert len(os.listdir(tmp_path / "out")) == 21


def test_kept_overlays_do_not_list_their_folder(tmp_path, monkeypatch):
    from anomedge.station.reactions import PictureKeeper

    keeper = PictureKeeper(tmp_path)
    monkeypatch.setattr(
        files,
        "_sweep",
        lambda target: pytest.fail("the folder is listed for every frame"),
    )
    keeper.save(np.zeros((4, 4, 3), np.uint8), name="a", number=1, time=0.0)


# --- the command -----------------------------------------------------------------------------------------------------


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
