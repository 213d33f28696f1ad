"""Drift of a whole sample, such as a folder of pictures, in one comparison of each figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anomedge.images.statistics import ImageStatistics
from anomedge.station.drift.changes import change_of_images, change_of_scores
from anomedge.station.drift.figure import QUARTILES, Change
from anomedge.station.drift.kolmogorov_smirnov import distance, limit
from anomedge.station.drift.levels import Comparison
from anomedge.station.drift.monitor import DriftChange
from anomedge.station.drift.reference import Reference
from anomedge.threshold.normal_distributions import compact

__all__ = ["LEVEL", "drift_of_sample"]

LEVEL = 1e-4
"""Level of one figure's comparison."""


def drift_of_sample(
    reference: Reference,
    scale: float,
    normal_scores: Sequence[float],
    statistics: Sequence[ImageStatistics],
) -> list[DriftChange]:
    """Return the figures of a sample that differ from the reference.

    The share of alarms is not compared, because a folder may hold any number of defective parts.

    Args:
        reference: recorded distributions; figures without one are left out.
        scale: scale of the scores.
        normal_scores: scores of the pictures that were labelled normal.
        statistics: of all pictures.
    """
    samples: list[tuple[str, Sequence[float], Sequence[float], Change]] = []
    if reference.scores is not None:
        change = change_of_scores(scale)
        samples.append(
            ("scores", reference.scores.normal, normal_scores, change)
        )
    for place, (name, values) in enumerate((reference.images or {}).items()):
        measured = [each[place] for each in statistics]
        samples.append((name, values, measured, change_of_images(name)))
    found = []
    for name, known, own, change in samples:
        comparison = _compared(known, own, change)
        if comparison is not None:
            found.append(DriftChange(name, True, comparison, reference.source))
    return found


def _compared(
    reference: Sequence[float], values: Sequence[float], change: Change
) -> Comparison | None:
    """Return the comparison of two samples if it shows a drift, else None."""
    known, own = np.array(reference), np.array(compact(values))
    if not own.size:
        return None
    least = limit(LEVEL, known.size, own.size)
    if least is None:
        return None
    below = np.searchsorted(known, own, "left")
    not_above = np.searchsorted(known, own, "right")
    statistic = distance(below, not_above, known.size)
    before, after = np.quantile(known, QUARTILES), np.quantile(own, QUARTILES)
    if statistic < least or change(before, after) < 1:
        return None
    return Comparison(
        statistic=statistic,
        limit=least,
        frames=len(values),
        value=float(after[1]),
        reference=float(before[1]),
    )
