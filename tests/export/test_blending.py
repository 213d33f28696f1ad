"""Pictures that a proof makes: near each threshold, at other levels, in other sizes; none whose label rounding decides."""

from dataclasses import replace

import numpy as np
import pytest

from anomedge.export.blending import BlendMaker
from anomedge.parity.pictures import BLENDED, LEVEL, SCALED, extremes
from anomedge.resample import Geometry
from anomedge.resample.outside_resize import OutsideResize
from tests.parity.examples import DECISION
from tests.parity.test_blends import Original, pictures_of

SIDE = (16, 16)
LOCAL = DECISION.model_copy(update={"threshold": 60.0})


@pytest.fixture
def maker():
    original = Original()
    given = [*pictures_of((0, 5, 10, 90, 95)), *extremes(SIDE)]
    scores = [original.score(p.frame()[None])[0] for p in given]
    return BlendMaker(given, np.array(scores), [DECISION], SIDE, original)


def made_of(blends):
    return {blend.picture.generated for blend in blends}


def scores_of(blends):
    return np.array([float(blend.outputs.score[0]) for blend in blends])


def test_every_threshold_has_blends(maker):
    both = replace(maker, decisions=[DECISION, LOCAL])
    found = both.at_thresholds(4)
    assert made_of(found) == {BLENDED}
    for threshold in (40, 60):
        near = np.abs(scores_of(found) - threshold) <= 0.01 * threshold
        assert near.sum() == 4
    assert len(maker.at_thresholds(4)) == 4


def test_levels_follow_from_the_seed(maker):
    one, again, other = (scores_of(maker.at_levels(s)) for s in (1, 1, 2))
    assert made_of(maker.at_levels(1)) == {LEVEL}
    assert (one == again).all()
    assert (one != other).any()


def test_other_sizes_are_for_graphs_that_take_any(maker):
    assert maker.in_other_sizes(0) == []
    framing = OutsideResize(Geometry(SIDE))
    found = replace(maker, framing=framing).in_other_sizes(0)
    assert made_of(found) == {SCALED}
    sizes = {blend.picture.frame().shape[:2] for blend in found}
    assert {(16, 16), (32, 32), (48, 48), (64, 64)} <= sizes


def test_a_picture_whose_label_rounding_decides_is_left_out(maker):
    levels = scores_of(maker.at_levels(1))
    at_a_level = DECISION.model_copy(update={"threshold": float(levels[0])})
    fewer = replace(maker, decisions=[DECISION, at_a_level]).at_levels(1)
    assert levels[0] not in scores_of(fewer)
    assert len(fewer) < len(levels)
