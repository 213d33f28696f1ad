"""Laws of all metrics from counts: TorchMetrics, absent classes, and replicates side by side."""

import numpy as np
import pytest
import torch

from anomedge.evaluation.aupro import aupro
from anomedge.evaluation.auroc import auroc
from anomedge.evaluation.average_precision import average_precision
from anomedge.evaluation.curve import Counts, curve_of_scores
from anomedge.evaluation.f1 import best_f1


def test_metrics_equal_torchmetrics_on_ranks():
    """TorchMetrics' metrics of scores in [0, 1], which its sigmoid leaves as they are."""
    from torchmetrics.functional.classification import (
        binary_auroc,
        binary_average_precision,
    )

    generator = np.random.default_rng(0)
    labels = generator.random(400) < 0.3
    scores = (generator.random(400) + 0.3 * labels) / 1.3
    counts = curve_of_scores(scores.astype(np.float32), labels).counts
    given_to = torch.from_numpy(scores).float(), torch.from_numpy(labels).long()
    assert float(auroc(counts)) == pytest.approx(
        float(binary_auroc(*given_to)), abs=1e-5
    )
    assert float(average_precision(counts)) == pytest.approx(
        float(binary_average_precision(*given_to)), abs=1e-5
    )


def test_metrics_without_a_class_are_not_numbers():
    none, some = np.zeros(3), np.ones(3)
    only = Counts(some, none, none)
    for metric in (auroc, average_precision, best_f1, aupro):
        assert np.isnan(metric(only))
    assert np.isnan(auroc(Counts(none, some, some)))


def test_replicates_are_computed_side_by_side():
    generator = np.random.default_rng(1)
    stack = Counts(*generator.random((3, 5, 20)))
    for metric in (auroc, average_precision, best_f1, aupro):
        together = metric(stack)
        for row in range(5):
            one = Counts(
                stack.negatives[row], stack.positives[row], stack.coverage[row]
            )
            assert together[row] == pytest.approx(float(metric(one)))
