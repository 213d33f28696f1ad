"""One figure of a station, such as the brightness: windows of its latest values against a reference."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from anomedge.station.drift.kolmogorov_smirnov import distance, limit
from anomedge.station.drift.levels import (
    BEGIN,
    OVER,
    Comparison,
    Hysteresis,
    lengths_of,
)

__all__ = [
    "QUARTILES",
    "Change",
    "DistributionFigure",
    "Quartiles",
    "is_sufficient",
]

QUARTILES = (0.25, 0.5, 0.75)
_RELEASE = 0.5
"""Share of the least change below which a drift is over."""

Quartiles = npt.NDArray[np.float64]
Change = Callable[[Quartiles, Quartiles], float]


def is_sufficient(count: int, window: int) -> bool:
    """Return whether a reference of `count` values can show a drift."""
    limits = (limit(BEGIN, count, length) for length in lengths_of(window))
    return any(each is not None for each in limits)


class DistributionFigure:
    """A figure, such as the brightness: its latest values, in a short and a long window, are compared with a reference.

    A drift begins if the statistic D of a window reaches the limit of the level `BEGIN`, and one of the quartiles has
    changed by the least change that matters. It is over if, in every window, D is below the limit of the level `OVER`
    or the change is below half of the least one.

    Args:
        name: of the figure.
        reference: its values, at least one.
        window: length of the long window.
        change: change from quartiles of the reference to those of a window, in units of the least change.
    """

    def __init__(
        self,
        name: str,
        reference: Sequence[float],
        window: int,
        change: Change,
    ) -> None:
        self.name = name
        self._reference = sorted(reference)
        self._quartiles = np.quantile(self._reference, QUARTILES)
        self._change = change
        self._windows = [
            _Window(length, len(reference)) for length in lengths_of(window)
        ]
        self._state = Hysteresis()
        self.drifting = False

    def add(self, value: float) -> bool:
        """Add the value of a frame; return whether a drift has begun or is over."""
        below = bisect_left(self._reference, value)
        not_above = bisect_right(self._reference, value, lo=below)
        for window in self._windows:
            window.add(value, below, not_above)
        before = self.drifting
        self.drifting = self._state.after(map(self._evidence, self._windows))
        return self.drifting != before

    def comparison(self) -> Comparison | None:
        """Return the comparison of the window that is closest to its limit or above it; None before one is full."""
        full = [window for window in self._windows if window.full]
        if not full:
            return None
        nearest = max(full, key=lambda window: window.distance - window.begin)
        return Comparison(
            statistic=nearest.distance,
            limit=nearest.begin,
            frames=nearest.length,
            value=float(np.median(nearest.values)),
            reference=float(self._quartiles[1]),
        )

    def _evidence(self, window: _Window) -> tuple[bool, bool]:
        """Return whether a window shows a drift, and whether it shows none."""
        if not window.full or window.distance < window.over:
            return False, True
        if window.distance < window.begin and not self.drifting:
            return False, False
        quartiles = np.quantile(window.values, QUARTILES)
        change = self._change(self._quartiles, quartiles)
        shows = window.distance >= window.begin and change >= 1
        return shows, change < _RELEASE


class _Window:
    """The latest values and their ranks in a reference of n values."""

    def __init__(self, length: int, n: int) -> None:
        self.length, self._n = length, n
        self.begin = limit(BEGIN, n, length) or 2.0
        self.over = limit(OVER, n, length) or 2.0
        self.values = np.zeros(length)
        self.distance = 0.0
        self._below = np.zeros(length, np.int64)
        self._not_above = np.zeros(length, np.int64)
        self._count = 0

    @property
    def full(self) -> bool:
        """Whether as many values were added as the window is long."""
        return self._count >= self.length

    def add(self, value: float, below: int, not_above: int) -> None:
        place = self._count % self.length
        self.values[place] = value
        self._below[place], self._not_above[place] = below, not_above
        self._count += 1
        if self.full:
            self.distance = distance(self._below, self._not_above, self._n)
