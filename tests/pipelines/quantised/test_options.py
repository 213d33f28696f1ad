"""The budget of a quantisation."""

import pytest

from anomedge.errors import InputError
from anomedge.pipelines.quantised.options import Budget


def test_no_label_may_change_by_default():
    budget = Budget()
    budget.check()
    assert (budget.flips, budget.auroc_drop) == (0, 0.002)


@pytest.mark.parametrize(
    ("budget", "named"),
    [
        (Budget(-1), "-1 flips"),
        (Budget(0, 1.5), "AUROC drop of at most 1.5"),
        (Budget(0, -0.1), "AUROC drop of at most -0.1"),
        (Budget(0, float("nan")), "AUROC drop of at most nan"),
    ],
)
def test_a_budget_out_of_range_is_refused(budget, named):
    with pytest.raises(InputError, match=named):
        budget.check()
