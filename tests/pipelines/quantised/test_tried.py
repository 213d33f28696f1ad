"""A budget holds for changed labels, unstable ones and the AUROC."""

import pytest

from anomedge.pipelines.quantised.options import Budget
from anomedge.pipelines.quantised.tried import Tried


@pytest.mark.parametrize(
    ("flips", "drop", "unstable", "expected"),
    [
        (1, 0.01, 1, True),
        (2, 0.0, 0, False),
        (0, 0.0, 2, False),
        (0, 0.02, 0, False),
    ],
)
def test_each_change_alone_exceeds_the_budget(flips, drop, unstable, expected):
    tried = Tried(None, flips, drop, unstable)
    assert tried.is_within(Budget(flips=1, auroc_drop=0.01)) == expected
