"""Scores far above the others."""

import numpy as np

from anomedge.threshold_rules.outliers import far_above, without_outliers


def test_many_high_scores_are_a_kind_of_picture_not_outliers():
    scores = np.append(np.linspace(1, 2, 40), np.linspace(50, 51, 6))
    assert len(far_above(scores)) == 6
    assert without_outliers(scores).size == 46
