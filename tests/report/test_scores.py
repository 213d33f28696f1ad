"""Scores of a report: by kind of picture, with the nearest on each side of the threshold."""

import math

import pytest

from anomedge.images import Picture
from anomedge.parity import Reference
from anomedge.report.scores import Margin, Scores, kind_of, scores_of
from tests.parity.examples import DECISION, generated, outputs

GENERATED = "generated for the proof"


def scores(rows):
    """Scores of (name, label, score); the threshold is 40, the scale 10."""
    names, labels, values = zip(*rows, strict=True)
    pictures = [
        generated(name, anomalous=label)
        for name, label in zip(names, labels, strict=True)
    ]
    reference = Reference("x", pictures, outputs(values))
    return scores_of(reference, DECISION, 1e-4)


@pytest.mark.parametrize(
    ("name", "label", "kind"),
    [
        ("a.png", False, "normal"),
        ("a.png", True, "anomalous"),
        ("a.png", None, "unlabelled"),
        ("good/extreme/a.png", False, "normal"),
        ("extreme/a.png", False, "normal"),
    ],
)
def test_kinds_of_pictures(name, label, kind):
    assert kind_of(Picture(name, anomalous=label)) == kind
    made = Picture(name, anomalous=label, generated="blended")
    assert kind_of(made) == GENERATED


def test_the_nearest_are_of_the_users_own_pictures():
    found = scores(
        [
            ("low", False, 10.0),
            ("near", False, 38.0),
            ("high", True, 45.0),
            ("blended/1", None, 39.5),
            ("blended/2", None, 40.5),
        ]
    )
    assert found.kinds == {
        "normal": [10.0, 38.0],
        "anomalous": [45.0],
        GENERATED: [39.5, 40.5],
    }
    assert found.below == Margin("near", "normal", -2.0)
    assert found.above == Margin("high", "anomalous", 5.0)
    assert GENERATED not in found.counted
    assert found.tolerance == pytest.approx(1e-3)


def test_generated_pictures_alone_are_shown_for_want_of_others():
    found = scores([("extreme/black", None, 12.0)])
    assert found.below == Margin("extreme/black", GENERATED, -28.0)
    assert found.above is None
    assert found.counted == {GENERATED: [12.0]}


def test_a_score_on_the_threshold_is_not_above_it():
    found = scores([("on", False, 40.0)])
    assert found.below == Margin("on", "normal", 0.0)
    assert found.above is None


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_scores_that_are_no_numbers_are_left_out_and_counted(value):
    found = scores([("a", False, value), ("b", False, 30.0)])
    assert found.kinds == {"normal": [30.0]}
    assert found.left_out == 1
    assert scores([("a", False, value)]) == Scores(
        {}, 40.0, found.tolerance, None, None, left_out=1
    )
