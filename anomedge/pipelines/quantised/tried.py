"""The result of one try: a quantised detector and the decisions that changed."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import NamedTuple

from anomedge.pipelines.model import Model
from anomedge.pipelines.quantised.options import Budget

__all__ = ["FewQuantisedWarning", "Tried", "warn_of_unstable"]

_NAMED = 5


class FewQuantisedWarning(UserWarning):
    """Layers stay in float32 because of pictures right beside the threshold."""


class Tried(NamedTuple):
    """A quantised detector; None where its scores do not follow the float ones at all.

    Attributes:
        flips: labels that differ.
        auroc_drop: by how much the AUROC fell.
        unstable: names of golden pictures whose label may differ in a runtime, because it rounds otherwise.
    """

    model: Model | None
    flips: int
    auroc_drop: float
    unstable: tuple[str, ...] = ()

    def is_within(self, budget: Budget) -> bool:
        """Return whether a budget allows these changes; an unstable label counts like a changed one."""
        worst = max(self.flips, len(self.unstable))
        return worst <= budget.flips and self.auroc_drop <= budget.auroc_drop


def warn_of_unstable(tried: Iterable[Tried], budget: Budget) -> None:
    """Warn of golden pictures because of which layers stay in float32, if any."""
    names = {
        name: None
        for each in tried
        if each.flips <= budget.flips < len(each.unstable)
        for name in each.unstable
    }
    if not names:
        return
    shown = ", ".join(list(names)[:_NAMED])
    more = ", ..." if len(names) > _NAMED else ""
    warnings.warn(
        f"more layers stay in float32 because the scores of {len(names)} golden pictures ({shown}{more}) are as near to the "
        f"threshold as rounding moves scores of INT8; for more speed let their labels differ: --max-flips {len(names)}",
        FewQuantisedWarning,
        stacklevel=2,
    )
