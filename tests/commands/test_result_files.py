"""Files of results: whole after every addition, and one overlay for each picture."""

import csv
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from anomedge.commands._result_files import (
    Format,
    Overlays,
    ResultsFile,
    overlay_names,
)
from anomedge.errors import OutputError
from anomedge.files import canonical_json


def row(number: int) -> dict:
    return {
        "picture": f"{number}.png",
        "label": "normal",
        "score": 0.5,
        "anomalous_pixels": 0.0,
        "milliseconds": 1.0,
    }


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
