"""A quantised detector that was tried, and what it changed."""

from __future__ import annotations

from typing import NamedTuple

from anomedge.pipelines.model import Model
from anomedge.pipelines.quantised.options import Budget

__all__ = ["Tried"]


class Tried(NamedTuple):
    """A quantised detector; None where its scores do not follow the float ones at all.

    Attributes:
        flips: labels that differ.
        auroc_drop: by how much the AUROC fell.
        unstable: golden pictures whose labels a runtime's rounding may change.
    """

    model: Model | None
    flips: int
    auroc_drop: float
    unstable: int = 0

    def is_within(self, budget: Budget) -> bool:
        """Return whether a budget allows these changes; an unstable label counts like a changed one."""
        worst = max(self.flips, self.unstable)
        return worst <= budget.flips and self.auroc_drop <= budget.auroc_drop
