"""Place a threshold by the balanced accuracy of normal pictures against synthetic defects."""

from __future__ import annotations

import numpy as np

from anomedge.errors import InputError
from anomedge.threshold import (
    Cut,
    Scores,
    by_false_alarm_rate,
    least_gap,
    spread,
)

__all__ = ["by_balanced_accuracy"]

_WITHIN = 0.5
"""In standard errors; chosen on the demo's textures (decision 0020)."""


def by_balanced_accuracy(
    normal: Scores, defective: Scores, most_false_alarms: float
) -> Cut:
    """Compute the threshold with the best balanced accuracy, under a cap on the false-alarm rate.

    The balanced accuracy is the mean of the shares of normal pictures below and of defective ones above the threshold.
    Of the thresholds within half a standard error of the best, choose the lowest whose gap is wide enough: the defects
    of a line are weaker than synthetic ones, and few scores do not tell these thresholds apart. For the same reason a
    threshold above all normal scores lies at most one typical gap, (largest - smallest) / (n - 1), above them. If every
    threshold between two scores has more false alarms than the cap, the threshold is that of `by_false_alarm_rate`.

    >>> normal, defective = np.array([1.0, 2.0, 3.0, 6.0]), np.array([4.0, 5.0, 8.0])
    >>> by_balanced_accuracy(normal, defective, 0.25)
    Cut(value=3.5, margin=0.5, extrapolated=False)
    >>> by_balanced_accuracy(normal, defective, 0.1)
    Cut(value=7.0, margin=1.0, extrapolated=False)
    >>> by_balanced_accuracy(normal, np.array([20.0, 30.0]), 0.1).value
    7.666666666666667

    The standard error is that of a difference of two shares; a share of 0 counts as one picture.

    Raises:
        InputError: a cap outside (0, 1), or scores that `by_false_alarm_rate` refuses.
    """
    if not 0 < most_false_alarms < 1:
        raise InputError(
            f"got a largest false-alarm rate of {most_false_alarms}; expected one between 0 and 1, such as 0.1"
        )
    good, bad = np.sort(normal).astype(float), np.sort(defective).astype(float)
    scores = np.unique(np.concatenate([good, bad]))
    cuts, half_gaps = (scores[1:] + scores[:-1]) / 2, np.diff(scores) / 2
    alarms = 1 - np.searchsorted(good, cuts) / good.size
    caught = 1 - np.searchsorted(bad, cuts) / bad.size
    usable = 2 * half_gaps > least_gap(good)
    usable &= alarms <= most_false_alarms + 1e-9
    if not usable.any():
        return by_false_alarm_rate(normal, most_false_alarms)
    accuracy = np.where(usable, caught - alarms, -np.inf)
    best = int(accuracy.argmax())
    error = np.hypot(
        _standard_error(caught[best], bad.size),
        _standard_error(alarms[best], good.size),
    )
    least = accuracy[best] - _WITHIN * error
    chosen = int(np.flatnonzero(accuracy >= least)[0])
    if cuts[chosen] > good[-1]:
        typical = spread(good) / max(1, good.size - 1)
        margin = min(float(half_gaps[chosen]), typical)
        return Cut(float(scores[chosen]) + margin, margin)
    return Cut(float(cuts[chosen]), float(half_gaps[chosen]))


def _standard_error(share: float, count: int) -> float:
    """Return the standard error of a share of `count` pictures."""
    likely = np.clip(share, 1 / count, 1 - 1 / count)
    return float(np.sqrt(likely * (1 - likely) / count))
