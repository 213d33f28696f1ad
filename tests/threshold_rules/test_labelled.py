"""The threshold that reaches a recall."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomedge.errors import InputError
from anomedge.threshold_rules.labelled import by_recall
from tests.threshold_rules.samples import few


@given(few, few, st.sampled_from([0.3, 0.9, 1.0]))
def test_recall_is_reached_by_the_highest_threshold(normal, anomalous, recall):
    good, bad = np.array(normal), np.array(anomalous)
    cut = by_recall(good, bad, recall)
    assert (bad > cut.value).mean() >= recall - 1e-9
    higher = bad[bad > cut.value].min()
    assert (bad > higher).mean() < recall


@pytest.mark.parametrize("recall", [0.0, 1.1])
def test_recalls_that_cannot_be_are_refused(recall):
    with pytest.raises(InputError, match=r"expected a share in \(0, 1\]"):
        by_recall(np.arange(3.0), np.arange(3.0), recall)


def test_a_recall_of_scores_that_are_not_finite_is_refused():
    with pytest.raises(
        InputError, match="anomalous picture that is not finite"
    ):
        by_recall(np.arange(3.0), np.array([4.0, np.nan]), 0.9)
