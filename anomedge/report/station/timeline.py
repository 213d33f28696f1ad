"""Frames of a log in intervals of time, or of their order where the clock jumped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomedge.report.station.log import LABELS, StationLog

__all__ = ["Timeline", "timeline_of"]

_MOST_BINS = 96
_LARGEST_JUMP = 30 * 86400.0
_LARGEST_STEP_BACK = 60.0
_UNITS = ((3 * 86400.0, 86400.0, "days"), (3 * 3600.0, 3600.0, "hours"), (180.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))  # fmt: skip

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Timeline:
    """Counts and scores of frames in B intervals of equal length.

    Attributes:
        edges: (B + 1,), in units of the axis.
        counts: (B, 3) number of frames of each label.
        median, highest: (B,) of the scores; NaN without a decided frame.
        threshold: (B,) largest threshold in force.
        unit: unit of the axis; "frames" if the clock jumped.
        start: time of the first frame; None if the clock jumped.
        seconds: seconds of one unit; 0 if the clock jumped.
    """

    edges: Values
    counts: npt.NDArray[np.int64]
    median: Values
    highest: Values
    threshold: Values
    unit: str
    start: float | None
    seconds: float

    def place(self, time: float) -> float | None:
        """Return the place of a time on the axis; None if the clock jumped."""
        if self.start is None:
            return None
        return (time - self.start) / self.seconds


def timeline_of(log: StationLog) -> Timeline:
    """Return the frames of a log in intervals; there must be one."""
    times = np.frombuffer(log.times, np.float64)
    labels = np.frombuffer(log.labels, np.int8)
    steps = np.diff(times)
    jumped = bool(
        ((steps > _LARGEST_JUMP) | (steps < -_LARGEST_STEP_BACK)).any()
    )
    start, seconds, unit = None, 0.0, "frames"
    places = np.arange(len(times), dtype=np.float64)
    if not jumped:
        span = max(float(times.max()), log.last) - float(times.min())
        _, seconds, unit = next(each for each in _UNITS if span >= each[0])
        start = float(times.min())
        places = (times - start) / seconds
    count = int(min(_MOST_BINS, max(4, len(times) // 4)))
    edges = np.linspace(
        0, max(float(places.max()), 1e-3) * (1 + 1e-9), count + 1
    )
    bins = np.clip(np.searchsorted(edges, places, "right") - 1, 0, count - 1)
    counts = np.zeros((count, len(LABELS)), np.int64)
    np.add.at(counts, (bins, labels), 1)
    return Timeline(
        edges,
        counts,
        *_scores_of_bins(log, bins, count),
        unit,
        start,
        seconds,
    )


def _scores_of_bins(
    log: StationLog, bins: npt.NDArray[np.intp], count: int
) -> tuple[Values, Values, Values]:
    """Return the median and the highest score, and the largest threshold of each interval (B,)."""
    scores = np.frombuffer(log.scores, np.float64)
    thresholds = np.frombuffer(log.thresholds, np.float64)
    decided = ~np.isnan(scores)
    found = np.full((3, count), np.nan)
    order = np.argsort(bins[decided], kind="stable")
    ordered = bins[decided][order]
    starts = np.searchsorted(ordered, np.arange(count + 1))
    for place in range(count):
        own = order[starts[place] : starts[place + 1]]
        if own.size:
            found[0, place] = np.median(scores[decided][own])
            found[1, place] = scores[decided][own].max()
            found[2, place] = thresholds[decided][own].max()
    return found[0], found[1], found[2]
