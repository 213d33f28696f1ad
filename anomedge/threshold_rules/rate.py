"""Place a threshold by a false-alarm rate on normal pictures: empirical where the sample suffices, else by a tail."""

from __future__ import annotations

import numpy as np

from anomedge.threshold import (
    Cut,
    Scores,
    TailFit,
    by_false_alarm_rate,
    least_gap,
)
from anomedge.threshold_rules.outliers import without_outliers
from anomedge.threshold_rules.tail import LEAST_EXCEEDANCES, tail_quantile

__all__ = ["by_robust_rate"]


def by_robust_rate(normal: Scores, rate: float) -> tuple[Cut, TailFit | None]:
    """Compute the threshold for a false-alarm rate, not counting scores far above the others.

    With 1 / rate scores or more, the threshold lies between two of them (`by_false_alarm_rate`). With fewer, but at
    least 40, a generalised Pareto tail extrapolates; with fewer still, the threshold is one typical gap above the
    largest score (decisions 0003 and 0020).

    Raises:
        InputError: as `by_false_alarm_rate`.
    """
    kept = without_outliers(normal)
    empirical = by_false_alarm_rate(kept, rate)
    is_identified = kept.size >= 2 * LEAST_EXCEEDANCES and np.ptp(kept) > 0
    if not empirical.extrapolated or kept.size * rate >= 1 or not is_identified:
        return empirical, None
    found = tail_quantile(kept, rate)
    return _between_scores(found.value, kept), found.fit


def _between_scores(value: float, scores: Scores) -> Cut:
    """Return a threshold near a value that lies on no score."""
    ordered = np.unique(scores.astype(float))
    largest, gap = ordered[-1], least_gap(scores)
    if value - largest > gap:
        return Cut(value, float(value - largest), extrapolated=True)
    wide = np.flatnonzero(np.diff(ordered) > gap)
    middles = (ordered[wide] + ordered[wide + 1]) / 2
    if not wide.size or value > middles.max() + (largest - middles.max()) / 2:
        return Cut(float(largest + gap), float(gap), extrapolated=True)
    nearest = int(np.abs(middles - value).argmin())
    lower = wide[nearest]
    half = float(ordered[lower + 1] - ordered[lower]) / 2
    return Cut(float(middles[nearest]), half)
