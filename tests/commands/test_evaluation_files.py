"""Files of an evaluation: a row for each picture, raw maps, and overlays of wrong decisions alone."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from anomedge.commands._evaluation_files import EvaluationFiles, MapFormat
from anomedge.errors import OutputError
from anomedge.evaluation import Judged
from anomedge.evaluation.detectors import Judgement
from anomedge.images import Picture
from anomedge.resample import Geometry
from tests.parity.examples import DECISION

NAMES = ["good/a.png", "hole/b.png", "hole/c.png"]
DETECTORS = ["eager torch", "ort"]


def opened(folder, **wanted):
    run = SimpleNamespace(
        data=SimpleNamespace(pictures=[Picture(name) for name in NAMES]),
        subject=SimpleNamespace(
            detectors=[SimpleNamespace(name=name) for name in DETECTORS],
            decision=DECISION,
            geometry=Geometry((8, 8)),
        ),
    )
    given = {"scores": None, "maps": None, "form": MapFormat.npy, "overlays": None}  # fmt: skip
    paths = {
        name: folder / value if name != "form" else value
        for name, value in wanted.items()
    }
    return EvaluationFiles(run, **(given | paths))


def judged(name, anomalous, *decisions, has_map=True):
    results = {}
    for detector, decided in zip(DETECTORS, decisions, strict=True):
        values = np.full((8, 8), 50.0 if decided else 1.0, np.float32)
        results[detector] = Judgement(
            50.0 if decided else 1.0, decided, values if has_map else None, None
        )
    picture = Picture(name, anomalous=anomalous)
    frame = np.zeros((8, 8, 3), np.uint8)
    kind = name.split("/")[0]
    return Judged(picture, kind, frame, None, results)


def test_every_picture_is_a_row_with_every_detector(tmp_path):
    files = opened(tmp_path, scores="s.csv")
    files.add(judged(NAMES[0], False, False, True))
    files.add(judged(NAMES[1], True, True, True))
    files.close()
    with (tmp_path / "s.csv").open() as file:
        first, second = csv.DictReader(file)
    assert first == {
        "name": "good/a.png",
        "label": "normal",
        "kind": "good",
        "score eager torch": "1.0",
        "decision eager torch": "normal",
        "score ort": "50.0",
        "decision ort": "anomalous",
    }
    assert second["label"] == second["decision ort"] == "anomalous"


@pytest.mark.parametrize("form", MapFormat)
def test_maps_are_raw_floats_in_a_folder_of_each_detector(tmp_path, form):
    files = opened(tmp_path, maps="maps", form=form)
    files.add(judged(NAMES[1], True, True, False))
    files.add(judged(NAMES[2], True, True, False, has_map=False))
    written = sorted(tmp_path.rglob("*.*"))
    folder = tmp_path / "maps"
    assert written == [
        folder / "eager-torch" / "hole" / f"b.png.{form.value}",
        folder / "ort" / "hole" / f"b.png.{form.value}",
    ]
    read = np.load(written[0]) if form == "npy" else np.asarray(Image.open(written[0]))  # fmt: skip
    assert read.dtype == np.float32
    assert (read == 50).all()


def test_only_wrong_decisions_are_drawn(tmp_path):
    files = opened(tmp_path, overlays="wrong")
    files.add(judged(NAMES[0], False, False, True))
    files.add(judged(NAMES[1], True, True, False))
    files.add(judged(NAMES[2], True, True, True))
    drawn = {
        path.relative_to(tmp_path / "wrong").as_posix()
        for path in tmp_path.rglob("*.png")
    }
    assert drawn == {"ort/false-alarms/good/a.png", "ort/misses/hole/b.png"}


def test_files_that_cannot_be_written_are_told_at_the_end(tmp_path):
    files = opened(tmp_path, maps="maps")
    files.report_faults()
    (tmp_path / "maps").write_text("a file in the place of the folder")
    files.add(judged(NAMES[0], False, False, False))
    with pytest.raises(OutputError, match="but 2 files could not be written"):
        files.report_faults()
