"""The threshold and the metrics of `AnomalyModule` by themselves."""

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import precision_recall_curve

from anomedge.components.lightning.evaluation import (
    AdaptiveThreshold,
    AnomalyMetrics,
    EvaluationWarning,
)
from anomedge.errors import InputError


def test_auroc_of_large_and_tied_scores_is_the_rank_sum():
    random = np.random.default_rng(1)
    scores, labels = (
        random.integers(1000, 1020, 300).astype(np.float32),
        random.integers(0, 2, 300),
    )
    metrics = AnomalyMetrics("")
    metrics.update(torch.tensor(scores), torch.tensor(labels))
    ranks, wrong = stats.rankdata(scores), labels.sum()
    expected = (ranks[labels == 1].sum() - wrong * (wrong + 1) / 2) / (
        wrong * (300 - wrong)
    )
    assert float(metrics.compute()["AUROC"]) == pytest.approx(
        expected, abs=1e-6
    )


@pytest.mark.parametrize(
    ("scores", "labels"),
    [([1.0, 2.0], [1, 1]), ([1.0], [0]), ([3.0, 3.0, 3.0], [0, 1, 1])],
)
def test_a_threshold_that_cannot_be_laid_stays(scores, labels):
    threshold = AdaptiveThreshold(0.25)
    threshold.update(torch.tensor(scores), torch.tensor(labels))
    with pytest.warns(EvaluationWarning, match=r"the threshold stays 0\.25"):
        assert threshold.compute().item() == 0.25


def test_half_precision_moves_no_threshold():
    threshold = AdaptiveThreshold(1 / 3)
    torch.nn.ModuleList([threshold]).half().to("meta")
    assert threshold.value.item() == 1 / 3


@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_of_the_curve_has_a_better_f1(seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, 200)
    scores = np.round(random.normal(size=200) + labels, 1)  # with ties
    threshold = AdaptiveThreshold()
    for part in np.split(np.arange(200), [7, 100]):
        threshold.update(torch.tensor(scores[part]), torch.tensor(labels[part]))
    value = threshold.compute().item()
    assert value not in scores
    precision, recall, _ = precision_recall_curve(labels, scores)
    best = np.max(
        2 * precision * recall / np.maximum(precision + recall, 1e-12)
    )
    calls = scores > value
    assert 2 * (calls & (labels == 1)).sum() / (
        calls.sum() + labels.sum()
    ) == pytest.approx(best, abs=1e-12)


def test_reset_forgets_the_scores_and_keeps_the_threshold():
    threshold = AdaptiveThreshold()
    threshold.update(torch.tensor([1.0, 4.0]), torch.tensor([0, 1]))
    assert threshold.compute().item() == 2.5
    threshold.reset()
    assert (threshold.scores, threshold.labels, threshold.value.item()) == (
        [],
        [],
        2.5,
    )


def test_scores_that_are_not_finite_are_refused():
    threshold = AdaptiveThreshold()
    threshold.update(torch.tensor([1.0, torch.nan]), torch.tensor([0, 1]))
    with pytest.raises(InputError, match="scores that are not finite"):
        threshold.compute()


@pytest.mark.parametrize("form", [np.float32, np.array, torch.tensor])
def test_a_default_may_be_any_number(form):
    assert AdaptiveThreshold(form(0.5)).value == 0.5


@pytest.mark.parametrize("wrong", [True, "0.5", None, torch.ones(2)])
def test_a_default_that_is_no_number_is_refused(wrong):
    with pytest.raises(
        InputError, match=r"got default_value=.*; expected a number"
    ):
        AdaptiveThreshold(wrong)
