"""Samples: their counts as a whole, in replicates and in part."""

import numpy as np
import pytest

from anomedge.evaluation.samples import ScoreSample
from tests.evaluation.sampled import map_sample


def test_grouped_values_of_replicates_hardly_change_a_metric():
    pixels = map_sample()
    whole = pixels.weighted(np.ones((1, 18)))
    assert whole.negatives.sum() == pixels.confusion.normal.sum()
    assert whole.coverage.sum() == pytest.approx(6)
    from anomedge.evaluation.auroc import auroc

    assert float(auroc(whole)[0]) == pytest.approx(
        float(auroc(pixels.curve.counts)), abs=1e-3
    )
    doubled = pixels.weighted(np.full((1, 18), 2.0))
    assert (doubled.positives == 2 * whole.positives).all()


def test_a_picture_counts_at_its_score_and_by_its_decision():
    sample = ScoreSample(
        np.array([1.0, 3.0, 3.0, 2.0]),
        np.array([False, True, False, True]),
        np.array([True, True, False, False]),
    )
    confusion = sample.confusion
    assert confusion.normal.tolist() == [1, 0, 1, 0]
    assert confusion.anomalous.tolist() == [0, 1, 0, 1]
    assert confusion.alarms.tolist() == [1, 0, 0, 0]
    assert confusion.hits.tolist() == [0, 1, 0, 0]
    assert sample.curve.lower.tolist() == [3, 2, 1]
    assert sample.curve.counts.positives.tolist() == [1, 1, 0]


def test_a_replicate_counts_a_picture_as_often_as_it_was_drawn():
    sample = ScoreSample(
        np.array([1.0, 3.0, 3.0]),
        np.array([False, True, False]),
        np.array([False, True, True]),
    )
    counts = sample.weighted(np.array([[1.0, 1, 1], [2, 3, 0]]))
    # Scores 3 and 1, in descending order.
    assert counts.negatives.tolist() == [[1, 1], [0, 2]]
    assert counts.positives.tolist() == [[1, 0], [3, 0]]
    assert not counts.coverage.any()


def test_a_part_of_a_sample_is_the_sample_of_its_pictures():
    sample = ScoreSample(
        np.array([1.0, 3.0, 2.0]),
        np.array([False, True, True]),
        np.array([False, True, False]),
    )
    part = sample.at(np.array([2, 0]))
    assert part.scores.tolist() == [2, 1]
    assert part.anomalous.tolist() == [True, False]
    assert part.decided.tolist() == [False, False]
    pixels = map_sample()
    one = pixels.at(np.array([3]))
    assert one.curve.counts.positives.sum() == pixels.confusion.anomalous[3]
    assert one.curve.counts.negatives.sum() == pixels.confusion.normal[3]
    assert one.exact is None
