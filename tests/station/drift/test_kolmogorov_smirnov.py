"""D and its levels, against all orders of small samples."""

from itertools import combinations

import numpy as np
import pytest

from anomedge.station.drift.kolmogorov_smirnov import (
    distance,
    limit,
    probability,
)


def by_definition(reference, window):
    every = np.concatenate([reference, window])
    f = (reference[:, None] <= every).mean(axis=0)
    g = (window[:, None] <= every).mean(axis=0)
    return np.abs(f - g).max()


def by_ranks(reference, window):
    ordered = np.sort(reference)
    return distance(
        np.searchsorted(ordered, window, "left"),
        np.searchsorted(ordered, window, "right"),
        len(ordered),
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_distance_is_that_of_the_functions_also_with_ties(seed):
    generator = np.random.default_rng(seed)
    reference = generator.integers(0, 9, 11).astype(float)
    window = generator.integers(0, 9, 6).astype(float)
    assert by_ranks(reference, window) == pytest.approx(
        by_definition(reference, window)
    )


@pytest.mark.parametrize(("n", "m"), [(5, 4), (3, 6), (6, 6)])
def test_probabilities_are_those_of_all_orders(n, m):
    found = []
    for places in combinations(range(n + m), m):
        window = np.array(places, float)
        others = set(range(n + m)) - set(places)
        found.append(by_definition(np.array(sorted(others), float), window))
    for d in {round(each, 12) for each in found}:
        expected = np.mean(np.array(found) >= d - 1e-6)
        assert probability(d, n, m) == pytest.approx(expected)


def test_the_limit_is_the_smallest_distance_of_the_level():
    least = limit(1e-4, 20, 12)
    assert probability(least, 20, 12) <= 1e-4
    assert probability(least - 1 / 240, 20, 12) > 1e-4
    assert limit(5e-7, 5, 8) is None
    assert 0 < limit(5e-7, 256, 512) < limit(5e-7, 256, 64) < 1
