"""Largest differences and the scales of stages."""

import numpy as np

from anomedge.parity.deviations import (
    Deviation,
    deviation_between,
    larger,
    stage_scales,
)
from anomedge.parity.golden import read_golden


def test_errors_are_fractions_of_the_spread_over_all_pictures(bundle):
    stages = {
        0: {"distances": np.array([[1.0, 3.0]])},
        1: {"distances": np.array([[2.0, 11.0]])},
    }
    scales = stage_scales(bundle.decision, stages.values())
    assert scales == {"distances": 10.0}
    known = stage_scales(bundle.decision, read_golden(bundle).stages.values())
    assert (known["preprocessed"], known["score"]) == (
        1.0,
        bundle.decision.scale,
    )
    assert set(bundle.manifest.stages) < set(known)


def test_position_of_the_largest_error():
    values = np.zeros((1, 3, 4, 5))
    other = values.copy()
    other[0, 2, 1, 4] = 0.5
    assert deviation_between(values, other, 2.0, "a.png") == (
        0.25,
        "a.png",
        "channel 2, y 1, x 4",
    )
    same = np.array([np.nan, np.inf, -np.inf])
    assert deviation_between(same, same, 1.0, "a.png").error == 0
    assert deviation_between(same, same[::-1], 1.0, "a.png").error == np.inf
    assert (
        deviation_between(np.empty(0), np.empty(0), 1.0, "a.png").error
        == np.inf
    )


def test_the_first_of_equal_deviations_is_kept():
    first, second = Deviation(1.0, "a"), Deviation(1.0, "b")
    assert larger(None, first) is first
    assert larger(first, second) is first
    assert larger(first, Deviation(2.0, "c")).picture == "c"
