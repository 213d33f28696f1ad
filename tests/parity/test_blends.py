"""Blends next to the threshold, and how many runs they cost."""

import numpy as np
import pytest

from anomedge.images import Picture
from anomedge.parity.blends import blends
from anomedge.parity.certificate import TOLERANCES
from anomedge.parity.outputs import Outputs
from anomedge.parity.verdict import failures_of_cell
from tests.parity.examples import DECISION, comparison, outputs


def brightness(frames):
    return frames.mean(axis=(1, 2, 3))


class Original:
    """Scores by brightness, or by another function of it; the number of runs is counted."""

    def __init__(self, curve=lambda x: x):
        self.curve, self.runs, self.batches = curve, 0, []

    def score(self, frames):
        return self.curve(brightness(frames))

    def __call__(self, frames):
        self.runs += len(frames)
        self.batches.append(len(frames))
        scores = self.score(frames)
        return Outputs(scores, scores.reshape(-1, 1, 1, 1))


def pictures_of(values, side=16):
    """Pictures of about these brightnesses, with grain."""
    grain = np.random.default_rng(0).integers(
        0, 40, (len(values), side, side, 3), dtype=np.uint8
    )
    return [
        Picture(str(v), pixels=g + np.uint8(v))
        for v, g in zip(values, grain, strict=True)
    ]


def found(values, count, decision=DECISION, original=None, side=16):
    original = original or Original()
    given = pictures_of(values, side)
    scores = np.array([original.score(p.frame()[None])[0] for p in given])
    return blends(given, scores, decision, (side, side), original, count)


def test_blends_lie_next_to_the_threshold_but_not_on_it():
    made = found((0, 10, 90, 200), 6)
    assert len(made) == 6
    for blend in made:
        score = brightness(blend.picture.frame()[None])[0]
        assert 2e-4 * DECISION.scale <= abs(score - 40) <= 0.4
        assert blend.outputs.score == [score]


def test_pictures_on_one_side_make_none():
    assert found((0, 10), 6) == found((90, 200), 6) == []


def test_a_threshold_of_zero_has_no_near_scores():
    zero = DECISION.model_copy(update={"threshold": 0.0})
    original = Original(lambda x: x - 40)
    assert found((0, 200), 6, zero, original) == []
    assert original.runs == 0


def test_blends_keep_their_distance_from_a_threshold_far_above_the_scale():
    """1e-4 of a scale of 1e-3 is less than a float32's last digit at 40."""
    fine = DECISION.model_copy(update={"scale": 1e-3})
    made = found((0, 10, 90, 200), 6, fine, side=64)
    assert made
    for blend in made:
        score = float(blend.outputs.score[0])
        assert abs(score - 40) >= 2e-4 * 0.05 * 40
        digit = float(np.spacing(np.float32(40)))
        near = comparison(
            outputs([score]), [blend.picture.name], fine, blend_margin=1e-4
        )
        copy = near.difference(
            outputs([score + np.copysign(digit, 40 - score)])
        )
        assert failures_of_cell(copy, None, TOLERANCES["fp32"]) == ()


@pytest.mark.parametrize(
    "curve",
    [
        lambda x: x,
        # The normal picture's own score, until the defect's exceeds it.
        lambda x: np.maximum(30, 60 * np.sqrt(np.maximum(x - 20, 0) / 100)),
        lambda x: x**2 / 100,
    ],
)
def test_a_blend_costs_few_runs(curve):
    original = Original(curve)
    values = [*range(0, 16, 3), *range(120, 210, 9)]
    made = found(values, 20, original=original, side=64)
    assert len(made) == 20
    assert original.runs <= 3 * len(made)


def test_names_differ_and_both_pictures_vary():
    made = found([*range(0, 16, 3), *range(120, 210, 9)], 20, side=64)
    names = [blend.picture.name for blend in made]
    assert len(set(names)) == 20
    assert {blend.picture.generated for blend in made} == {"blended"}
    ends = [
        name.removeprefix("blended/").split("@")[0].split("+") for name in names
    ]
    assert len({normal for normal, _ in ends}) >= 5
    assert len({defect for _, defect in ends}) >= 8
    sides = [name.rsplit(" ", 1)[1] for name in names]
    assert min(sides.count("above"), sides.count("below")) >= 5
    # The first blends, of which some become golden frames, are of different pairs.
    assert len({tuple(pair) for pair in ends[:8]}) == 8


def test_a_score_that_jumps_is_given_up():
    jump = Original(lambda x: np.where(x > 50, 100.0, 0.0))
    assert found((0, 10, 90, 200), 2, original=jump) == []
    assert jump.runs <= 12 * 4 * 2


def test_the_same_pictures_make_the_same_blends():
    one, two = found((0, 10, 90, 200), 6), found((0, 10, 90, 200), 6)
    for a, b in zip(one, two, strict=True):
        assert a.picture.name == b.picture.name
        assert np.array_equal(a.picture.frame(), b.picture.frame())


@pytest.mark.parametrize("worst", [np.nan, np.inf, -np.inf])
def test_pictures_without_a_finite_score_are_left_out(worst):
    given = pictures_of((0, 10, 90, 200))
    scores = np.array([20.0, worst, 110.0, worst])
    made = blends(given, scores, DECISION, (16, 16), Original(), 2)
    assert len(made) == 2
    for blend in made:
        assert blend.picture.name.startswith("blended/0+90@")


@pytest.mark.parametrize("worst", [np.nan, np.inf, -np.inf])
def test_blends_without_a_finite_score_are_given_up(worst):
    original = Original(lambda x: np.full(len(x), worst))
    given = pictures_of((0, 10, 90, 200))
    scores = np.array([20.0, 30.0, 110.0, 210.0])
    assert blends(given, scores, DECISION, (16, 16), original, 2) == []
    assert original.runs <= 12 * 4 * 2
