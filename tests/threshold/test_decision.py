import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score

from anomedge.errors import InputError
from anomedge.images.overlay import overlay
from anomedge.resample import Geometry
from anomedge.threshold import (
    Decision,
    Origin,
    by_f1,
    by_false_alarm_rate,
    interval_of_rate,
    spread,
)

scores = st.lists(
    st.floats(-1e3, 1e3, allow_nan=False, width=32), min_size=2, max_size=200
)


@given(scores, st.sampled_from([0.01, 0.05, 0.2, 0.5]))
def test_rate_is_kept_and_no_score_is_hit(values, rate):
    values = np.array(values)
    cut = by_false_alarm_rate(values, rate)
    assert (values > cut.value).mean() <= rate + 1e-9
    assert not (values == cut.value).any() or np.ptp(values) < 1e-9
    assert cut.margin == pytest.approx(
        np.abs(values - cut.value).min(), rel=1e-6, abs=1e-9
    )
    if cut.extrapolated:
        assert cut.value > values.max()


def test_settings_of_any_finite_numbers_are_shown_without_overflow():
    """Settings of a device are bounded by nothing but float64; a numpy warning is an error here."""
    origin = Origin(
        rule="f1",
        source="",
        normal=1,
        anomalous=1,
        margin=1.0,
        extrapolated=False,
        pictures="0",
    )
    most = 1.7e308
    decision = Decision(
        threshold=0,
        pixel_threshold=-most,
        minimum=-most,
        maximum=most,
        scale=1,
        origin=origin,
    )
    assert np.isfinite(decision.range)
    assert decision.normalised(np.array([-np.inf, 0.0, 1.0])).tolist() == [
        0.0,
        0.5,
        0.5,
    ]
    frame = np.zeros((8, 8, 3), np.uint8)
    assert (
        overlay(
            frame,
            np.zeros((4, 4), np.float32),
            decision,
            Geometry((8, 8), (4, 4)),
        ).shape
        == frame.shape
    )


def test_midway_between_neighbours_when_the_sample_is_large_enough():
    values = np.arange(200.0)
    assert by_false_alarm_rate(values, 0.01) == (197.5, 0.5, False)
    assert by_false_alarm_rate(values, 0.1) == (179.5, 0.5, False)


def test_ties_move_the_threshold_up():
    values = np.array([0.0] * 50 + [1.0] * 49 + [2.0])
    cut = by_false_alarm_rate(values, 0.3)
    assert cut.value == 1.5


def test_gaps_too_narrow_for_copies_are_passed_over():
    values = np.concatenate([np.linspace(0, 1, 98), [2.0, 2.0 + 1e-7]])
    assert by_false_alarm_rate(values, 0.01).extrapolated
    assert by_false_alarm_rate(values, 0.02).value == pytest.approx(1.5)


def test_small_sample_is_extrapolated_by_one_gap():
    cut = by_false_alarm_rate(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 0.01)
    assert (cut.value, cut.margin, cut.extrapolated) == (6.0, 1.0, True)


@given(
    st.lists(st.integers(0, 30).map(float), min_size=1, max_size=30),
    st.lists(st.integers(0, 30).map(float), min_size=1, max_size=30),
)
def test_f1_is_the_best_there_is(normal, anomalous):
    every = np.array(normal + anomalous)
    if np.ptp(every) == 0:
        with pytest.raises(InputError):
            by_f1(np.array(normal), np.array(anomalous))
        return
    labels = np.array([0] * len(normal) + [1] * len(anomalous))
    cut = by_f1(np.array(normal), np.array(anomalous))
    middles = (np.unique(every)[1:] + np.unique(every)[:-1]) / 2
    best = max(f1_score(labels, every > c, zero_division=0) for c in middles)
    assert f1_score(
        labels, every > cut.value, zero_division=0
    ) == pytest.approx(best)
    assert not np.isin(cut.value, every)


def test_spread_has_a_floor():
    assert spread(np.array([10.0, 14.0])) == 4.0
    assert spread(np.array([10.0, 10.0])) == 0.5


@pytest.mark.parametrize("values", [[1.0], [1.0, np.nan], [1.0, np.inf]])
def test_scores_that_cannot_place_it_are_refused(values):
    with pytest.raises(InputError, match="expected"):
        by_false_alarm_rate(np.array(values), 0.01)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 2.0])
def test_rates_that_cannot_be_are_refused(rate):
    with pytest.raises(InputError, match="between 0 and 1"):
        by_false_alarm_rate(np.arange(10.0), rate)


@pytest.mark.parametrize(
    ("alarms", "count"),
    [(0, 1), (0, 30), (1, 30), (15, 30), (30, 30), (100, 10_000)],
)
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_the_interval_is_clopper_and_pearsons(alarms, count, confidence):
    wanted = stats.binomtest(alarms, count).proportion_ci(
        confidence, method="exact"
    )
    assert interval_of_rate(alarms, count, confidence) == pytest.approx(
        (wanted.low, wanted.high), abs=1e-9
    )


def test_the_interval_holds_a_threshold_laid_between_the_scores():
    """Simulated: 95 % of the time or more, the rate of a threshold between two scores lies in the interval."""
    import numpy as np

    generator = np.random.default_rng(0)
    for count, allowed in ((50, 1), (200, 4)):
        low, high = interval_of_rate(allowed, count)
        scores = np.sort(generator.uniform(size=(4000, count)), axis=1)
        rates = (
            1
            - (scores[:, count - allowed - 1] + scores[:, count - allowed]) / 2
        )
        assert ((low <= rates) & (rates <= high)).mean() > 0.945
