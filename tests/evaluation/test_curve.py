"""Counts at each distinct value, and thresholds between values."""

import numpy as np
import pytest

from anomedge.evaluation.curve import curve_of_scores, grouped

SCORES = np.array([2.0, 5.0, 2.0, -1.0, 5.0])
LABELS = np.array([False, True, True, False, True])


def test_equal_scores_are_counted_together_in_descending_order():
    curve = curve_of_scores(SCORES, LABELS)
    assert curve.lower.tolist() == curve.upper.tolist() == [5, 2, -1]
    assert curve.counts.positives.tolist() == [2, 1, 0]
    assert curve.counts.negatives.tolist() == [0, 1, 1]
    assert curve.counts.coverage.tolist() == [0, 0, 0]


@pytest.mark.parametrize(("place", "threshold"), [(0, 3.5), (1, 0.5)])
def test_a_threshold_lies_midway_to_the_next_value(place, threshold):
    curve = curve_of_scores(SCORES, LABELS)
    assert curve.threshold_at(place) == threshold


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_threshold_is_exceeded_by_the_values_up_to_its_place(place):
    curve = curve_of_scores(SCORES, LABELS)
    threshold = curve.threshold_at(place)
    assert (curve.lower > threshold).tolist() == [n <= place for n in range(3)]


def test_weights_of_equal_keys_are_added_in_every_row():
    keys = np.array([7, 1, 7, 3], np.uint32)
    weights = np.array([[1.0, 2, 3, 4], [10, 20, 30, 40]])
    found, sums = grouped(keys, weights)
    assert found.tolist() == [1, 3, 7]
    assert sums.tolist() == [[2, 4, 4], [20, 40, 40]]


def test_no_keys_have_no_groups():
    keys, sums = grouped(np.empty(0, np.uint32), np.empty((2, 0)))
    assert keys.size == 0
    assert sums.shape == (2, 0)
