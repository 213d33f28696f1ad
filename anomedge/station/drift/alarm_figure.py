"""The share of alarms of a station: windows of its latest labels against a reference."""

from __future__ import annotations

from collections import deque

from anomedge.station.drift.alarm_rate import limit
from anomedge.station.drift.levels import (
    BEGIN,
    OVER,
    Comparison,
    Hysteresis,
    lengths_of,
)
from anomedge.threshold import interval_of_rate

__all__ = ["AlarmFigure"]


class AlarmFigure:
    """The number of anomalous frames in a short and a long window.

    A drift begins if the number in a window reaches the limit of the level `BEGIN`; it is over if the numbers are below
    those of the level `OVER`. Defective parts count as well: the reference has none.

    Args:
        alarms: number k of the reference's scores above the threshold.
        count: number n of its scores.
        window: length of the long window.
    """

    name = "alarms"

    def __init__(self, alarms: int, count: int, window: int) -> None:
        self._rate = alarms / count
        self._windows = [
            _Window(length, alarms, count) for length in lengths_of(window)
        ]
        self._state = Hysteresis()
        self.drifting = False

    def add(self, anomalous: bool) -> bool:
        """Add the label of a frame; return whether a drift has begun or is over."""
        for window in self._windows:
            window.add(anomalous)
        before = self.drifting
        evidence = [window.evidence for window in self._windows]
        self.drifting = self._state.after(evidence)
        return self.drifting != before

    def comparison(self) -> Comparison | None:
        """Return the comparison of the window that is closest to its limit or above it; None before one is full."""
        full = [window for window in self._windows if window.full]
        if not full:
            return None
        nearest = max(full, key=lambda window: window.excess)
        share = nearest.alarms / nearest.length
        return Comparison(
            statistic=share,
            limit=nearest.begin / nearest.length,
            frames=nearest.length,
            value=share,
            reference=self._rate,
            interval=interval_of_rate(nearest.alarms, nearest.length),
        )


class _Window:
    def __init__(self, length: int, alarms: int, count: int) -> None:
        self.length, self.alarms = length, 0
        unreachable = 2 * length
        self.begin = limit(BEGIN, length, alarms, count) or unreachable
        self.over = limit(OVER, length, alarms, count) or unreachable
        self._labels: deque[bool] = deque()

    @property
    def full(self) -> bool:
        return len(self._labels) == self.length

    @property
    def excess(self) -> float:
        """Distance above the limit, as a share of the window."""
        return (self.alarms - self.begin) / self.length

    @property
    def evidence(self) -> tuple[bool, bool]:
        """Whether the window shows a drift, and whether it shows none."""
        # The frames that are missing from a window that is not full could only be normal ones.
        return self.alarms >= self.begin, self.alarms < self.over

    def add(self, anomalous: bool) -> None:
        if self.full:
            self.alarms -= self._labels.popleft()
        self._labels.append(anomalous)
        self.alarms += anomalous
