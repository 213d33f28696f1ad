"""F1 from counts, against scikit-learn's curve."""

import numpy as np
import pytest
from hypothesis import given
from sklearn.metrics import precision_recall_curve

from anomedge.evaluation.curve import curve_of_scores
from anomedge.evaluation.f1 import best_f1, f1, f1_at_each
from tests.evaluation.pairs import PAIRS, arrays


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
