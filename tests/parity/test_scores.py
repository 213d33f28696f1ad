"""The typical error of scores: far below the worst one, if it is rounding."""

from dataclasses import replace

import numpy as np
import pytest

from anomedge.parity.certificate import TOLERANCES
from anomedge.parity.outputs import Outputs
from anomedge.parity.scores import SCORES, ScoreMeter, allowed_typical
from anomedge.precisions import PRECISIONS
from tests.parity.examples import comparison, outputs

NAMES = ["a", "b", "c", "d", "extreme/white"]


def checked(*changes, names=NAMES, precision="fp16"):
    """The check of scores that are off by these changes; the scale is 10, so fp16 allows 1."""
    expected = outputs([30.0] * len(names))
    made = replace(comparison(expected, names), tolerance=TOLERANCES[precision])
    meter = ScoreMeter(made, precision)
    for change in changes:
        meter.add(outputs(30.0 + np.array(change)))
    return meter.check("ort")


def test_one_score_may_be_off_by_more_than_typical():
    check = checked([0.3, 0, 0, 0, 0.9])
    assert (check.name, check.passed, check.detail) == (SCORES, True, "")
    assert check.error == pytest.approx(0.015, rel=1e-3)
    assert check.tolerance == pytest.approx(0.02)


@pytest.mark.parametrize("change", [[-0.95] * 5, [0.5, -0.5, 0.5, -0.5, 0]])
def test_all_scores_may_not_be_off_by_the_tolerance(change):
    check = checked([0] * 5, change)
    assert not check.passed
    assert check.detail.startswith("typically off by")


def test_blends_near_the_threshold_are_judged_by_themselves():
    own = [f"{i}.png" for i in range(60)]
    blends = ["blended/a", "blended/b", "blended/c"]
    off = [0.0] * 60 + [0.5] * 3
    assert not checked(off, names=[*own, *blends]).passed
    # Two are no typical error: they count with the others.
    assert checked(off[:-1], names=[*own, *blends[:2]]).passed


def test_extreme_frames_alone_are_better_than_none():
    assert not checked([0.5], names=["extreme/white"]).passed


def test_a_score_that_is_no_number_fails():
    made = comparison(outputs([30.0]), ["a"])
    meter = ScoreMeter(made, "fp32")
    meter.add(Outputs(np.array([np.nan])))
    meter.add(outputs([30.0]))
    check = meter.check("ort")
    assert (check.passed, check.error) == (False, np.inf)


@pytest.mark.parametrize("precision", PRECISIONS.members())
def test_the_limit_is_a_share_of_the_tolerance(precision):
    tolerance = TOLERANCES[precision]
    allowed = allowed_typical(precision, tolerance)
    assert 0 < allowed < tolerance.score
    assert allowed_typical(precision, tolerance.widened(2)) == 2 * allowed
