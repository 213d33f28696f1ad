"""The threshold of the best balanced accuracy against synthetic defects."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomedge.threshold_rules.balanced import by_balanced_accuracy
from tests.threshold_rules.samples import few


@given(few, few, st.sampled_from([0.05, 0.1, 0.5]))
def test_balanced_is_close_to_the_best_below_the_cap(normal, defective, cap):
    good, bad = np.array(normal), np.array(defective)
    cut = by_balanced_accuracy(good, bad, cap)
    assert (good > cut.value).mean() <= cap + 1e-9
    every = np.unique(np.concatenate([good, bad]))
    assert not np.isin(cut.value, every)
    middles = (every[1:] + every[:-1]) / 2
    balance = [
        (bad > c).mean() - (good > c).mean()
        for c in middles
        if (good > c).mean() <= cap + 1e-9
    ]
    reached = (bad > cut.value).mean() - (good > cut.value).mean()
    most = 0.5 * math.hypot(0.5 / len(good) ** 0.5, 0.5 / len(bad) ** 0.5)
    assert reached >= max(balance, default=-1) - most - 1e-9


def test_balanced_stays_near_the_normal_scores():
    """Defects of a line are weaker than synthetic ones: the middle of a wide gap would miss them."""
    normal = np.linspace(1, 2, 51)
    cut = by_balanced_accuracy(normal, np.linspace(4, 5, 50), 0.1)
    assert cut.value == pytest.approx(2.02)
    assert cut.margin == pytest.approx(0.02)
    defective = np.append(np.linspace(4, 5, 40), np.linspace(1.5, 2, 10))
    several = by_balanced_accuracy(normal, defective, 0.1)
    assert 0 < (normal > several.value).mean() <= 0.1
