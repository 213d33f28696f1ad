"""A budget holds for changed labels, unstable ones and the AUROC."""

import pytest

from anomedge.pipelines.quantised.options import Budget
from anomedge.pipelines.quantised.tried import (
    FewQuantisedWarning,
    Tried,
    warn_of_unstable,
)


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
    tried = Tried(None, flips, drop, ("a.png",) * unstable)
    assert tried.is_within(Budget(flips=1, auroc_drop=0.01)) == expected


def test_pictures_beside_the_threshold_are_named():
    tried = [Tried(None, 0, 0.0, ("a.png", "b.png")), Tried(None, 0, 0.0)]
    with pytest.warns(
        FewQuantisedWarning, match=r"a\.png, b\.png.*--max-flips 2"
    ):
        warn_of_unstable(tried, Budget())


@pytest.mark.parametrize(
    "tried", [Tried(None, 1, 0.0, ("a.png",)), Tried(None, 0, 0.0)]
)
def test_changed_labels_and_stable_pictures_are_no_reason(tried, recwarn):
    warn_of_unstable([tried], Budget())
    assert not recwarn.list
