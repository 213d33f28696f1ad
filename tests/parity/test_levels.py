"""Blends at other levels than the threshold: a copy that is wrong in an interval of scores meets one."""

import numpy as np
import pytest

from anomedge.parity.levels import blends_at_levels
from anomedge.parity.pictures import LEVEL, extremes
from tests.parity.examples import DECISION
from tests.parity.test_blends import Original, pictures_of

SIDE = (16, 16)


def scores_at_levels(values, seed=0, original=None):
    """Scores of the blends of pictures of these brightnesses and of extreme frames; the threshold is 40."""
    original = original or Original()
    given = [*pictures_of(values), *extremes(SIDE)]
    scores = [original.score(p.frame()[None])[0] for p in given]
    made = blends_at_levels(
        given, np.array(scores), DECISION, SIDE, original, np.random.default_rng(seed)
    )  # fmt: skip
    assert {blend.picture.generated for blend in made} == {LEVEL}
    return np.array([float(blend.outputs.score[0]) for blend in made])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("values", [(0, 5, 10), (0, 10, 90), (0, 60, 200)])
def test_an_interval_above_the_threshold_is_met(values, seed):
    scores = scores_at_levels(values, seed)
    assert ((scores > 42) & (scores < 130)).any()
    assert (scores < 40).any() and (scores > 130).any()
    if max(values) > 80:
        # Most levels lie where the user's own defects are.
        assert ((scores > 42) & (scores < max(values) + 20)).sum() >= 3


def test_levels_are_drawn():
    values = (0, 10, 90)
    assert (scores_at_levels(values, 1) == scores_at_levels(values, 1)).all()
    assert (scores_at_levels(values, 1) != scores_at_levels(values, 2)).all()


def test_a_level_costs_two_runs():
    original = Original()
    assert len(scores_at_levels((0, 10, 90), original=original)) == 8
    assert original.runs <= 16


@pytest.mark.parametrize("worst", [np.nan, np.inf])
def test_scores_that_are_no_number_make_no_level(worst):
    odd = Original(lambda x: np.where(x > 250, worst, x))
    assert np.isfinite(scores_at_levels((0, 10, 90), original=odd)).all()
    assert not scores_at_levels_of_none(worst)


def scores_at_levels_of_none(worst):
    given = pictures_of((0, 10))
    generator = np.random.default_rng(0)
    return blends_at_levels(
        given, np.full(2, worst), DECISION, SIDE, Original(), generator
    )
