"""Tails of scores beyond the sample."""

import numpy as np
import pytest
from scipy.stats import genpareto

from anomedge.errors import InputError
from anomedge.threshold_rules.tail import tail_quantile


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.2])
def test_tails_are_found_on_average(shape):
    found = []
    for seed in range(20):
        sample = genpareto.rvs(shape, size=60, random_state=seed)
        found.append(tail_quantile(sample, 0.01))
    expected = genpareto.isf(0.01, shape)
    values = [tail.value for tail in found]
    assert np.median(values) == pytest.approx(expected, rel=0.25)
    assert all(-0.5 <= tail.fit.shape <= 0.25 for tail in found)
    inside = [tail.fit.low <= expected <= tail.fit.high for tail in found]
    assert np.mean(inside) >= 0.8
    assert all(tail.fit.low <= tail.value <= tail.fit.high for tail in found)


def test_tails_of_few_scores_are_refused():
    with pytest.raises(InputError, match="expected over 20 scores"):
        tail_quantile(np.arange(20.0), 0.01)
    with pytest.raises(InputError, match="equal scores"):
        tail_quantile(np.ones(60), 0.01)
