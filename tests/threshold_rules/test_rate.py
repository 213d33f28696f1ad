"""The threshold of a false-alarm rate, robust against outliers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomedge.threshold_rules.outliers import far_above
from anomedge.threshold_rules.rate import by_robust_rate


def test_one_outlier_moves_no_threshold_of_a_rate():
    """A held-back outlier lifted the threshold above every defect."""
    scores = np.random.default_rng(0).normal(10, 1, 60)
    polluted = np.append(scores, 60.0)
    cut, other = (by_robust_rate(x, 0.01)[0].value for x in (scores, polluted))
    assert other == pytest.approx(cut)
    assert far_above(polluted).tolist() == [60]
    assert far_above(scores[:9]).size == 0


@given(
    st.lists(st.floats(0, 1e3, width=32), min_size=2, max_size=90),
    st.sampled_from([0.001, 0.01, 0.05]),
)
def test_rates_are_kept_and_no_score_is_hit(values, rate):
    scores = np.array(values)
    cut, tail = by_robust_rate(scores, rate)
    assert math.isfinite(cut.value)
    assert cut.margin > 0
    assert np.abs(scores - cut.value).min() > 0
    assert tail is None or tail.exceedances >= 20
