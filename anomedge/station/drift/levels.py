"""Levels of the tests for drift, lengths of their windows, and the state that they switch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "BEGIN",
    "DEFAULT_WINDOW",
    "LEAST_WINDOW",
    "MOST_WINDOW",
    "OVER",
    "Comparison",
    "Hysteresis",
    "lengths_of",
]

BEGIN = 5e-7
"""Level at which a window shows a drift.

A figure has two windows and is tested after every frame. By the union bound, which holds for dependent tests, the
probability of a false drift of one figure within T frames is at most 2 T BEGIN: one in a million frames.
"""
OVER = 1e-3
"""Level at which a window still shows a drift that has begun."""

DEFAULT_WINDOW, LEAST_WINDOW, MOST_WINDOW = 64, 16, 512
_SHORT = 4


def lengths_of(window: int) -> tuple[int, ...]:
    """Return the lengths of the short and the long window.

    The short one shows a large change soon, the long one a small change.

    >>> lengths_of(64)
    (16, 64)
    """
    return max(window // _SHORT, LEAST_WINDOW // 2), window


@dataclass(frozen=True)
class Comparison:
    """A window of a figure beside its reference.

    Attributes:
        statistic: D of a distribution, or the share of alarms.
        limit: the statistic at which a drift begins; above 1 if the reference is too small for this window.
        frames: length of the window.
        value: median of the window, or the share of alarms.
        reference: the same of the reference.
        interval: 95 % interval of the share of alarms.
    """

    statistic: float
    limit: float
    frames: int
    value: float
    reference: float
    interval: tuple[float, float] | None = None


class Hysteresis:
    """State of a figure: it drifts from the first window that shows a drift until all windows show none."""

    def __init__(self) -> None:
        self._drifting = False

    def after(self, evidence: Iterable[tuple[bool, bool]]) -> bool:
        """Return the state after a frame, from each window's "shows a drift" and "shows none"."""
        found = list(evidence)
        if any(shows for shows, _ in found):
            self._drifting = True
        elif all(shows_none for _, shows_none in found):
            self._drifting = False
        return self._drifting
