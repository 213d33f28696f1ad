"""F1 of the anomalous class: at a threshold, and the best one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anomedge.evaluation.curve import Counts

__all__ = ["best_f1", "f1", "f1_at_each"]

Array = npt.NDArray[np.float64]


def f1(
    hits: npt.ArrayLike, alarms: npt.ArrayLike, positive: npt.ArrayLike
) -> Array:
    """Return 2 hits / (hits + alarms + positive).

    Args:
        hits: number of anomalous values above the threshold.
        alarms: number of normal values above it.
        positive: number of anomalous values; not a number where it is 0.

    >>> f1([3], [1], [4]).tolist()
    [0.75]
    """
    found = np.asarray(hits, dtype=np.float64)
    wrong = np.asarray(alarms, dtype=np.float64)
    present = np.asarray(positive, dtype=np.float64)
    share = 2 * found / np.maximum(found + wrong + present, 1)
    return np.where(present > 0, share, np.nan)


def f1_at_each(counts: Counts) -> Array:
    """Return F1 at the threshold just below each value, (..., values)."""
    hits = np.cumsum(counts.positives, axis=-1)
    alarms = np.cumsum(counts.negatives, axis=-1)
    return f1(hits, alarms, hits[..., -1:])


def best_f1(counts: Counts) -> Array:
    """Return the largest F1 of all thresholds.

    >>> one = np.array([1.0, 0, 1, 0])
    >>> round(float(best_f1(Counts(1 - one, one, one))), 4)
    0.8
    """
    return np.asarray(f1_at_each(counts).max(axis=-1))
