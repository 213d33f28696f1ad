"""Drift of the pictures of a folder that `anomedge predict` inspects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anomedge.images import Frame
from anomedge.images.statistics import ImageStatistics, image_statistics
from anomedge.inspector import Inspector, Result

if TYPE_CHECKING:
    from anomedge.station.drift import DriftChange

__all__ = ["FolderDrift", "warning_of"]

_FEWEST = 2
"""Pictures that are compared: one against 256 recorded values, the most, is at the level 2/257 at best."""


@dataclass
class FolderDrift:
    """Scores and image statistics of a folder's pictures, compared with the bundle's record of normal ones."""

    _normal_scores: list[float] = field(default_factory=list)
    _statistics: list[ImageStatistics] = field(default_factory=list)

    def add(self, frame: Frame, result: Result) -> None:
        """Add an inspected picture."""
        if result.label == "normal":
            self._normal_scores.append(result.score)
        self._statistics.append(image_statistics(frame))

    def found(self, inspector: Inspector) -> list[DriftChange]:
        """Return the figures that differ; none without a suitable record, or for a single picture."""
        if len(self._statistics) < _FEWEST:
            return []
        from anomedge.station.drift import reference_of
        from anomedge.station.drift.levels import DEFAULT_WINDOW
        from anomedge.station.drift.sample import drift_of_sample

        return drift_of_sample(
            reference_of(inspector.bundle, DEFAULT_WINDOW),
            inspector.decision.scale,
            self._normal_scores,
            self._statistics,
        )


def warning_of(changes: list[DriftChange]) -> str:
    """Return one sentence on the figures that differ."""
    from anomedge.station.drift.events import message_of

    lines = "; ".join(message_of(change) for change in changes)
    return (
        f"these pictures differ from the normal ones of the bundle: {lines}: check light and lens, and calibrate with "
        f"anomedge threshold --normal"
    )
