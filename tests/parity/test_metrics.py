"""AUROC and intersection over union, against scikit-learn and TorchMetrics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import jaccard_score, roc_auc_score

from anomedge.parity.metrics import auroc, mask_iou


@given(
    st.lists(
        st.tuples(st.integers(-5, 5), st.booleans()), min_size=2, max_size=60
    )
)
def test_auroc_equals_scikit_learns(pairs):
    scores, labels = (
        np.array([s for s, _ in pairs], float),
        np.array([label for _, label in pairs]),
    )
    if labels.all() or not labels.any():
        assert auroc(scores, labels) is None
    else:
        assert auroc(scores, labels) == pytest.approx(
            roc_auc_score(labels, scores)
        )


def test_scores_above_thirty_do_not_saturate():
    """Libraries that apply a sigmoid saturate such scores; AUROC uses their order."""
    generator = np.random.default_rng(0)
    labels = generator.random(500) < 0.3
    scores = 30 + 20 * generator.random(500) + 5 * labels
    assert auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))
    assert auroc(scores.astype(np.float32) * 1e4, labels) == pytest.approx(
        roc_auc_score(labels, scores), abs=1e-4
    )


def test_auroc_equals_torchmetrics_on_ranks():
    import torch
    from torchmetrics.functional.classification import binary_auroc

    generator = np.random.default_rng(1)
    labels = generator.random(200) < 0.5
    scores = 30 + 20 * generator.random(200) + 5 * labels
    ranked = torch.from_numpy(scores.argsort().argsort() / 200)
    assert auroc(scores, labels) == pytest.approx(
        float(binary_auroc(ranked, torch.from_numpy(labels).long()))
    )


def test_iou_equals_scikit_learns():
    a, b = np.random.default_rng(0).random((2, 100)) > 0.5
    assert mask_iou(a, b) == pytest.approx(jaccard_score(a, b))
    assert mask_iou(np.zeros(3), np.zeros(3)) == 1.0
