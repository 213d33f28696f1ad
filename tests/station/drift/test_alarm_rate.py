"""Numbers of alarms against draws from one distribution."""

import math

import numpy as np
import pytest

from anomedge.station.drift.alarm_rate import limit, probability


def test_probabilities_are_those_of_draws_above_the_k_plus_first_score():
    generator = np.random.default_rng(0)
    n, m, k = 20, 10, 1
    draws = generator.random((20_000, n + m))
    threshold = np.sort(draws[:, :n], axis=1)[:, n - k - 1]
    alarms = (draws[:, n:] > threshold[:, None]).sum(axis=1)
    for x in (1, 2, 3):
        expected = np.mean(alarms >= x)
        assert probability(x, m, k, n) == pytest.approx(expected, abs=0.012)


def test_all_above_the_largest_is_one_order_of_many():
    assert probability(4, 4, 0, 6) == pytest.approx(1 / math.comb(10, 4))
    assert probability(0, 4, 0, 6) == pytest.approx(1)


def test_the_limit_is_the_smallest_number_of_the_level():
    least = limit(1e-6, 64, 1, 100)
    assert probability(least, 64, 1, 100) <= 1e-6
    assert probability(least - 1, 64, 1, 100) > 1e-6


def test_a_reference_of_alarms_alone_has_no_limit():
    assert limit(0.5, 16, 5, 5) is None
    assert limit(1e-6, 16, 0, 3) is None
