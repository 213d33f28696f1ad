"""The bootstrap: seeded, stratified, and percentiles of what is defined."""

import numpy as np
import pytest

from anomedge.evaluation.bootstrap import percentiles, resampled
from tests.evaluation.sampled import LABELS


def drawn(seed, replicates=120):
    return np.concatenate(list(resampled(LABELS, seed, replicates)))


def test_replicates_keep_the_number_of_each_label():
    weights = drawn(0)
    assert weights.shape == (120, 50)
    assert (weights[:, ~LABELS].sum(axis=1) == 30).all()
    assert (weights[:, LABELS].sum(axis=1) == 20).all()
    assert (weights == drawn(0)).all()
    assert (weights != drawn(1)).any()
    # A picture is drawn once on average, with variance 1 - 1/n.
    assert weights[:, ~LABELS].var() == pytest.approx(29 / 30, abs=0.1)


def test_percentiles_leave_out_undefined_replicates():
    values = np.r_[np.arange(101.0), np.nan]
    assert percentiles(values) == pytest.approx((2.5, 97.5))
    assert percentiles(np.array([np.nan])) is None
