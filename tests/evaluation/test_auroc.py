"""AUROC from counts, against its definition and scikit-learn."""

import pytest
from hypothesis import given
from sklearn.metrics import roc_auc_score

from anomedge.evaluation.auroc import auroc, tie_mass
from anomedge.evaluation.curve import curve_of_scores
from tests.evaluation.pairs import PAIRS, arrays


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
