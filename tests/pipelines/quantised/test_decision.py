"""Thresholds carried over by pairs of scores: they keep every label that a threshold can keep."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomedge.errors import InputError
from anomedge.pipelines.quantised.decision import (
    Pairs,
    carried_decision,
    carried_threshold,
    flips,
)
from anomedge.threshold import Decision, Origin

SCORES = st.lists(
    st.integers(-1000, 1000), min_size=2, max_size=30, unique=True
).map(lambda values: np.array(values, dtype=np.float64))
RISING = {
    "line": lambda x: 3 * x + 7,
    "cube": lambda x: (x / 100) ** 3,
    "tangent": lambda x: np.arctan(x / 300),
    "float32": lambda x: x.astype(np.float32),
}


def decision_of(threshold, pixels=None):
    origin = Origin(
        rule="false-alarm-rate",
        rate=0.01,
        source="held-back",
        normal=6,
        anomalous=0,
        margin=0.1,
        extrapolated=True,
        pictures="",
    )
    return Decision(
        threshold=threshold,
        pixel_threshold=pixels,
        minimum=-1.0,
        maximum=4.0,
        scale=0.5,
        origin=origin,
    )


@given(SCORES, st.floats(-1100, 1100), st.sampled_from(sorted(RISING)))
def test_scores_in_the_same_order_keep_all_labels(before, threshold, name):
    after = RISING[name](before)
    carried = carried_threshold(before, after, threshold)
    assert flips(before > threshold, after, carried) == 0


@given(SCORES, SCORES, st.floats(-1100, 1100))
def test_no_threshold_keeps_more_labels(before, after, threshold):
    count = min(len(before), len(after))
    before, after = before[:count], after[:count]
    carried = carried_threshold(before, after, threshold)
    found = flips(before > threshold, after, carried)
    cuts = [after.min() - 1, *after]
    assert found == min(flips(before > threshold, after, c) for c in cuts)


@given(SCORES, st.floats(-999, 999), st.sampled_from(sorted(RISING)))
def test_the_threshold_keeps_off_the_scores_beside_it(before, threshold, name):
    """A float threshold right beside a score would otherwise be carried to one right beside it."""
    after = RISING[name](before).astype(np.float64)
    carried = carried_threshold(before, after, threshold)
    below, above = after[after <= carried], after[after > carried]
    if len(below) and len(above):
        low, high = below.max(), above.min()
        assert min(carried - low, high - carried) >= 0.249 * (high - low)


@pytest.mark.parametrize("threshold", [9.0, -9.0])
def test_a_threshold_beyond_all_scores_stays_beyond_them(threshold):
    """The line through the pairs extends it, so that its margin grows with the scores."""
    before = np.arange(5.0)
    carried = carried_threshold(before, 2 * before + 1, threshold)
    assert carried == pytest.approx(2 * threshold + 1)


def test_equal_scores_shift_the_threshold():
    before, after = np.full(4, 2.0), np.full(4, 2.5)
    assert carried_threshold(before, after, 3.0) == pytest.approx(3.5)
    assert carried_threshold(before, after, 1.0) == pytest.approx(1.5)


def test_a_decision_is_carried_with_its_display_range_and_scale():
    before = np.array([0.0, 1.0, 2.0, 3.0])
    pairs = Pairs(before, 2 * before + 1, before + 10, 3 * before + 30)
    found = carried_decision(decision_of(1.6, pixels=11.6), pairs)
    assert found.threshold == pytest.approx(4.2)
    assert found.pixel_threshold == pytest.approx(34.8)
    assert (found.minimum, found.maximum) == pytest.approx((-1, 9))
    assert found.scale == pytest.approx(1.0)
    assert found.origin.carried_by == 4
    assert found.origin.margin == pytest.approx(0.8)


def test_a_detector_without_map_has_no_pixel_threshold():
    before = np.array([0.0, 1.0])
    found = carried_decision(decision_of(0.5), Pairs(before, before))
    assert found.pixel_threshold is None


def test_scores_that_fall_are_refused():
    before = np.array([0.0, 1.0, 2.0])
    for after in (-before, np.full(3, 1.0)):
        with pytest.raises(InputError, match="do not rise with the float ones"):
            carried_decision(decision_of(0.5), Pairs(before, after))
