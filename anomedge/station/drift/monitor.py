"""Follow all figures of a station: scores, alarms, brightness, contrast and sharpness.

Scores are compared among normal frames: a run of defective parts changes the share of alarms, not the distribution of
the scores below the threshold. Figures without a recorded reference are compared with the first normal frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from anomedge.images.statistics import ImageStatistics
from anomedge.station.drift.alarm_figure import AlarmFigure
from anomedge.station.drift.changes import change_of_images, change_of_scores
from anomedge.station.drift.figure import DistributionFigure
from anomedge.station.drift.levels import Comparison
from anomedge.station.drift.reference import (
    IMAGE_FIGURES,
    Images,
    Reference,
    ReferenceScores,
)

__all__ = ["DriftChange", "DriftMonitor"]


class DriftChange(NamedTuple):
    """Beginning or end of a figure's drift.

    Attributes:
        name: of the figure.
        begun: whether the drift has begun; otherwise it is over.
        comparison: the window and its reference.
        source: origin of the reference.
    """

    name: str
    begun: bool
    comparison: Comparison
    source: str


class DriftMonitor:
    """Compares the latest frames with a reference.

    Args:
        reference: recorded distributions.
        scale: scale of the scores.
        window: length of the long window, and number of first normal frames that replace an absent reference.
    """

    def __init__(self, reference: Reference, scale: float, window: int) -> None:
        self._scale, self._window = scale, window
        self._sources: dict[str, str] = {}
        self._scores: DistributionFigure | None = None
        self._alarms: AlarmFigure | None = None
        self._images: list[DistributionFigure] = []
        self._first: list[tuple[float, ImageStatistics]] = []
        self._first_alarms = 0
        if reference.scores is not None:
            self._follow_scores(reference.scores, reference.source)
        if reference.images is not None:
            self._follow_images(reference.images, reference.source)

    @property
    def learning(self) -> bool:
        """Whether a figure still waits for its reference, the first normal frames."""
        return self._scores is None or not self._images

    def add(
        self, score: float, anomalous: bool, statistics: ImageStatistics
    ) -> list[DriftChange]:
        """Add a decided frame; return the drifts that have begun or are over."""
        changed = []
        if self._scores is not None and not anomalous:
            changed += [self._scores] if self._scores.add(score) else []
        for figure, value in zip(self._images, statistics, strict=False):
            changed += [figure] if figure.add(value) else []
        changes = list(self._changes(changed))
        if self._alarms is not None and self._alarms.add(anomalous):
            changes += self._changes([self._alarms])
        if self.learning:
            self._learn(score, anomalous, statistics)
        return changes

    def comparisons(self) -> dict[str, Comparison]:
        """Return the present comparison of each figure that has one."""
        figures = [self._scores, self._alarms, *self._images]
        found = {
            figure.name: figure.comparison()
            for figure in figures
            if figure is not None
        }
        return {name: each for name, each in found.items() if each is not None}

    def _changes(
        self, figures: list[DistributionFigure] | list[AlarmFigure]
    ) -> Iterator[DriftChange]:
        for figure in figures:
            comparison = figure.comparison()
            if comparison is not None:
                source = self._sources[figure.name]
                yield DriftChange(
                    figure.name, figure.drifting, comparison, source
                )

    def _learn(
        self, score: float, anomalous: bool, statistics: ImageStatistics
    ) -> None:
        """Take a first normal frame; with the last of them, follow the figures without a reference."""
        if anomalous:
            self._first_alarms += 1
            return
        self._first.append((score, statistics))
        if len(self._first) < self._window:
            return
        source = f"first {self._window} normal frames"
        if self._scores is None:
            scores = tuple(score for score, _ in self._first)
            count = len(scores) + self._first_alarms
            learned = ReferenceScores(scores, self._first_alarms, count)
            self._follow_scores(learned, source)
        if not self._images:
            columns = zip(*(each for _, each in self._first), strict=True)
            self._follow_images(
                dict(zip(IMAGE_FIGURES, columns, strict=True)), source
            )
        self._first.clear()

    def _follow_scores(self, scores: ReferenceScores, source: str) -> None:
        change = change_of_scores(self._scale)
        self._scores = DistributionFigure(
            "scores", scores.normal, self._window, change
        )
        self._alarms = AlarmFigure(scores.alarms, scores.count, self._window)
        self._sources |= {"scores": source, "alarms": source}

    def _follow_images(self, images: Images, source: str) -> None:
        self._images = [
            DistributionFigure(
                name, values, self._window, change_of_images(name)
            )
            for name, values in images.items()
        ]
        self._sources |= dict.fromkeys(IMAGE_FIGURES, source)
