"""Metrics from counts, against independent formulas in float64, scikit-learn and TorchMetrics."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
)

from anomedge.evaluation.aupro import aupro
from anomedge.evaluation.auroc import auroc, tie_mass
from anomedge.evaluation.average_precision import average_precision
from anomedge.evaluation.curve import Counts, curve_of_scores
from anomedge.evaluation.f1 import best_f1, f1, f1_at_each

PAIRS = st.lists(
    st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=60
).filter(lambda pairs: 0 < sum(label for _, label in pairs) < len(pairs))


def arrays(pairs):
    scores, labels = zip(*pairs, strict=True)
    return np.array(scores, float), np.array(labels)


@given(PAIRS)
def test_auroc_is_the_share_of_ordered_pairs(pairs):
    scores, labels = arrays(pairs)
    good, bad = scores[~labels], scores[labels]
    wins = (bad[:, None] > good).sum() + (bad[:, None] == good).sum() / 2
    counts = curve_of_scores(scores, labels).counts
    found = float(auroc(counts))
    assert found == pytest.approx(wins / (good.size * bad.size), abs=1e-12)
    assert found == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    ties = (bad[:, None] == good).mean()
    assert float(tie_mass(counts)) == pytest.approx(ties, abs=1e-12)


@given(PAIRS)
def test_average_precision_is_scikit_learns(pairs):
    scores, labels = arrays(pairs)
    counts = curve_of_scores(scores, labels).counts
    assert float(average_precision(counts)) == pytest.approx(
        average_precision_score(labels, scores), abs=1e-12
    )


@given(PAIRS)
def test_best_f1_is_the_best_of_all_thresholds(pairs):
    scores, labels = arrays(pairs)
    curve = curve_of_scores(scores, labels)
    precision, recall, _ = precision_recall_curve(labels, scores)
    known = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    best = float(best_f1(curve.counts))
    assert best == pytest.approx(known.max(), abs=1e-12)
    threshold = curve.threshold_at(int(f1_at_each(curve.counts).argmax()))
    above = scores > threshold
    hits, alarms = (above & labels).sum(), (above & ~labels).sum()
    assert float(f1(hits, alarms, labels.sum())) == pytest.approx(best)


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


def overlap_curve(values, regions, normal):
    """Rates and overlaps at every threshold, by definition."""
    rates, overlaps = [0.0], [0.0]
    for threshold in np.unique(values)[::-1]:
        above = values >= threshold
        rates.append(above[normal].mean())
        overlaps.append(np.mean([above[region].mean() for region in regions]))
    return np.array(rates), np.array(overlaps)


@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("levels", [7, 1000])
def test_aupro_integrates_the_mean_overlap_of_regions(limit, levels):
    generator = np.random.default_rng(levels)
    owner = generator.integers(0, 4, 500)
    owner[owner == 3] = 0
    values = generator.integers(0, levels, 500) + 0.4 * levels * (owner > 0)
    sizes = np.bincount(owner, minlength=3)
    rates, overlaps = overlap_curve(
        values, [owner == 1, owner == 2], owner == 0
    )
    # Add the point on the limit, as a straight line between its neighbours.
    grid = np.sort(np.append(rates[rates < limit], limit))
    heights = np.append(
        overlaps[rates < limit], np.interp(limit, rates, overlaps)
    )
    known = np.sum(np.diff(grid) * (heights[1:] + heights[:-1]) / 2) / limit
    places = np.unique(-values, return_inverse=True)[1]
    size = places.max() + 1
    counts = Counts(
        np.bincount(places, owner == 0, size),
        np.bincount(places, owner > 0, size),
        np.bincount(places, np.where(owner > 0, 1 / sizes[owner], 0), size),
    )
    assert float(aupro(counts, limit)) == pytest.approx(known, abs=1e-12)


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
