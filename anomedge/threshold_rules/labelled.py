"""Place a threshold by labelled pictures: the best F1 (`anomedge.threshold.by_f1`), or a recall."""

from __future__ import annotations

import math

import numpy as np

from anomedge.errors import InputError
from anomedge.threshold import Cut, Scores, spread

__all__ = ["by_recall"]


def by_recall(normal: Scores, anomalous: Scores, recall: float) -> Cut:
    """Compute the highest threshold that catches a share of the anomalous pictures.

    It lies midway between the weakest score to catch and the next lower score of any picture, or one typical gap below
    all scores.

    >>> by_recall(np.array([1.0, 2.0]), np.array([1.5, 4.0, 5.0]), 0.6)
    Cut(value=3.0, margin=1.0, extrapolated=False)

    Raises:
        InputError: a recall outside (0, 1], or one of the classes is empty.
    """
    if not 0 < recall <= 1:
        raise InputError(
            f"got a target recall of {recall}; expected a share in (0, 1], such as 0.95"
        )
    if not normal.size or not anomalous.size:
        raise InputError(
            f"got {normal.size} normal and {anomalous.size} anomalous scores; expected at least one of each"
        )
    ordered = np.sort(anomalous.astype(float))[::-1]
    weakest = ordered[math.ceil(recall * ordered.size - 1e-9) - 1]
    scores = np.concatenate([normal.astype(float), ordered])
    lower = scores[scores < weakest]
    if lower.size:
        half = float(weakest - lower.max()) / 2
        return Cut(float(weakest) - half, half)
    margin = spread(scores) / (scores.size - 1)
    return Cut(float(weakest) - margin, margin, extrapolated=True)
