"""One figure: a drift begins once, and is over once."""

import numpy as np
import pytest

from anomedge.station.drift.changes import change_of_images, change_of_scores
from anomedge.station.drift.figure import DistributionFigure, is_sufficient

REFERENCE = tuple(np.random.default_rng(0).normal(120, 8, 100))


def figure(reference=REFERENCE, window=64):
    return DistributionFigure(
        "brightness", reference, window, change_of_images("brightness")
    )


def draws(count, seed=1, factor=1.0):
    return factor * np.random.default_rng(seed).normal(120, 8, count)


def changes(figure, values):
    """The places of changes, and the state after each."""
    return [
        (place, figure.drifting)
        for place, value in enumerate(values)
        if figure.add(value)
    ]


def test_a_drift_begins_within_16_frames_and_is_over_once():
    followed = figure()
    assert changes(followed, draws(300)) == []
    ((begun, state),) = changes(followed, draws(200, 2, factor=1.3))
    assert state
    assert begun < 16
    found = followed.comparison()
    assert found.statistic >= found.limit
    assert found.value == pytest.approx(156, rel=0.05)
    assert found.reference == pytest.approx(120, rel=0.02)
    ((over, state),) = changes(followed, draws(300, 3))
    assert not state
    assert over < 64


def test_a_change_that_is_too_small_to_matter_is_no_drift():
    constant = tuple(np.linspace(119.9, 120.1, 100))
    followed = figure(constant)
    assert changes(followed, np.full(200, 121.0)) == []
    assert followed.comparison().statistic == 1.0
    ((begun, state),) = changes(followed, np.full(200, 140.0))
    assert state
    assert begun < 16


def test_half_way_back_a_drift_goes_on():
    followed = figure(tuple(np.linspace(119, 121, 100)))
    assert len(changes(followed, np.full(100, 140.0))) == 1
    assert changes(followed, np.full(100, 129.0)) == []
    assert followed.drifting
    assert len(changes(followed, np.full(100, 122.0))) == 1
    assert not followed.drifting


def test_scores_change_by_a_share_of_the_scale():
    change = change_of_scores(10.0)
    quartiles = np.array([1.0, 2.0, 3.0])
    after = np.array([1.0, 2.0, 5.0])
    assert change(quartiles, after) == pytest.approx(2.0)


def test_a_reference_may_be_too_small():
    assert not is_sufficient(4, 64)
    assert is_sufficient(5, 64)
    assert changes(figure((1.0, 2.0)), np.full(100, 99.0)) == []
