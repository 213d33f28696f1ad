"""Notes on an evaluation: absent figures and cautions."""

import pytest

from anomedge.evaluation.notes import few_pictures, notes_on
from anomedge.evaluation.records import (
    Column,
    Figure,
    LevelFigures,
    PictureTotals,
)


@pytest.mark.parametrize(
    ("totals", "note"),
    [
        ({"unlabelled": 3}, "3 pictures without a label are left out"),
        ({"fitted": 2}, "2 pictures were fitted on"),
        ({"masked": 45}, "15 of 30 anomalous pictures have no mask"),
        ({"masked": 30}, "no anomalous picture has a mask"),
        ({"normal": 0, "masked": 30}, "all 30 pictures are anomalous"),
        ({"anomalous": 4, "masked": 34}, "30 normal and 4 anomalous"),
    ],
)
def test_notes_state_the_limits_of_the_pictures(totals, note):
    plain = {"normal": 30, "anomalous": 30, "masked": 60, "unlabelled": 0}
    notes = list(notes_on(PictureTotals(**(plain | totals)), [], 0))
    assert len(notes) == 1
    assert notes[0].startswith(note)


def test_masks_that_vanish_on_the_map_are_said():
    plain = PictureTotals(normal=30, anomalous=30, masked=60, unlabelled=0)
    assert list(notes_on(plain, [], 0)) == []
    (note,) = notes_on(plain, [], 2)
    assert note.startswith("2 masks have no pixel on the map's grid")


def noted(*columns, has_map=True):
    totals = PictureTotals(normal=30, anomalous=30, masked=60, unlabelled=0)
    return list(notes_on(totals, columns, 0, has_map))


def column(bits=24, error=0.0, low=0.8):
    figures = LevelFigures(
        normal=30,
        anomalous=30,
        threshold=1,
        auroc=Figure(value=0.9, low=low, high=0.9),
        auroc_error=error,
    )
    return Column(
        name="a",
        version="1",
        running_on="cpu",
        image=figures,
        pixel=figures,
        map_bits=bits,
    )


def test_a_detector_without_a_map_has_no_figures_of_pixels():
    (note,) = noted(column(None), has_map=False)
    assert note.startswith("the detector gives no anomaly map")


def test_an_interval_without_width_is_cautioned():
    assert noted(column()) == []
    (note,) = noted(column(), column(low=0.9))
    assert note.startswith("an interval without width")


def test_the_coarsest_rounding_and_the_largest_error_are_said():
    (note,) = noted(column(), column(19, 3e-7), column(17, 2e-6))
    assert "rounded to 17 significant bits" in note
    assert note.endswith("at most 2e-06")


@pytest.mark.parametrize(
    ("normal", "anomalous", "cautions"),
    [(20, 20, 0), (19, 20, 1), (20, 19, 1), (0, 5, 0), (5, 0, 0)],
)
def test_fewer_than_twenty_of_a_class_are_few(normal, anomalous, cautions):
    assert len(list(few_pictures(normal, anomalous))) == cautions
