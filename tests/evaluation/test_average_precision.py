"""Average precision from counts, against scikit-learn."""

import pytest
from hypothesis import given
from sklearn.metrics import average_precision_score

from anomedge.evaluation.average_precision import average_precision
from anomedge.evaluation.curve import curve_of_scores
from tests.evaluation.pairs import PAIRS, arrays


@given(PAIRS)
def test_average_precision_is_scikit_learns(pairs):
    scores, labels = arrays(pairs)
    counts = curve_of_scores(scores, labels).counts
    assert float(average_precision(counts)) == pytest.approx(
        average_precision_score(labels, scores), abs=1e-12
    )
