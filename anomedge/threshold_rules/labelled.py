"""Place a threshold by labelled pictures: the best F1 (`anomedge.threshold.by_f1`), or a recall."""

from __future__ import annotations

import math

import numpy as np

from anomedge.errors import InputError
from anomedge.threshold import Cut, Scores, sorted_scores, spread

__all__ = ["by_recall"]


def by_recall(normal: Scores, anomalous: Scores, recall: float) -> Cut:
    """Compute the highest threshold that catches a share of the anomalous pictures.

    It lies midway between the weakest score to catch and the next lower score of any picture, or one typical gap below
    all scores.

    >>> by_recall(np.array([1.0, 2.0]), np.array([1.5, 4.0, 5.0]), 0.6)
    Cut(value=3.0, margin=1.0, extrapolated=False)

    Raises:
        InputError: a recall outside (0, 1], one of the classes is empty, or a score is not finite.
    """
    if not 0 < recall <= 1:
        raise InputError(
            f"got a target recall of {recall}; expected a share in (0, 1], such as 0.95"
        )
    good = sorted_scores(normal, "normal", least=1)
    bad = sorted_scores(anomalous, "anomalous", least=1)
    weakest = bad[-math.ceil(recall * bad.size - 1e-9)]
    scores = np.concatenate([good, bad])
    lower = scores[scores < weakest]
    if lower.size:
        half = float(weakest - lower.max()) / 2
        return Cut(float(weakest) - half, half)
    margin = spread(scores) / (scores.size - 1)
    return Cut(float(weakest) - margin, margin, extrapolated=True)
