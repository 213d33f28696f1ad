"""Find normal pictures whose scores are far above the others: defects among the normals, or rare normal pictures."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anomedge.threshold import Scores

__all__ = ["far_above", "without_outliers"]

LEAST_SCORES = 10
"""Quartiles of fewer scores say little."""
MOST_TRIMMED = 0.05
"""Largest share of the scores left out as outliers; more are a second kind of normal picture. One is always left out."""


def far_above(scores: Scores) -> npt.NDArray[np.int64]:
    """Return the places of scores above Q3 + 3 (Q3 - Q1), highest first (Tukey 1977: "far out").

    With the quartiles of the same sample, one score cannot hide behind itself. None for fewer than 10 scores.

    >>> far_above(np.array([1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 9.0])).tolist()
    [10]
    """
    if scores.size < LEAST_SCORES:
        return np.empty(0, dtype=np.int64)
    low, high = np.quantile(scores, (0.25, 0.75))
    found = np.flatnonzero(scores > high + 3 * (high - low))
    return found[np.argsort(-scores[found], kind="stable")]


def without_outliers(scores: Scores) -> Scores:
    """Return the scores without those far above the others; all scores if too many are.

    >>> without_outliers(np.array([1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 9.0])).size
    10
    """
    found = far_above(scores)
    if len(found) > max(1, int(MOST_TRIMMED * scores.size)):
        return scores
    return np.delete(scores, found)
