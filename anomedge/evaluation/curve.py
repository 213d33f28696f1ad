"""Counts of normal and anomalous values at each distinct value: the input of every metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["Counts", "Curve", "curve_of_scores", "grouped"]

Array = npt.NDArray[np.float64]
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class Counts:
    """Counts at each distinct value, in descending order of values.

    The last axis holds the values; leading axes hold replicates of a bootstrap.

    Attributes:
        negatives: number of normal pictures or pixels, (..., values).
        positives: number of anomalous pictures or pixels, (..., values).
        coverage: sum over anomalous pixels of 1 / (size of their region), so
            that the sum over all values is the number of regions, (..., values).
    """

    negatives: Array
    positives: Array
    coverage: Array


@dataclass(frozen=True)
class Curve:
    """Counts of a sample, with the values they belong to.

    Attributes:
        counts: the counts, each (values,).
        lower: smallest value of each place, descending, (values,).
        upper: largest value of each place; equal to `lower` where values are
            not rounded.
    """

    counts: Counts
    lower: Array
    upper: Array

    def threshold_at(self, place: int) -> float:
        """Return a threshold that exactly the first `place` + 1 values exceed.

        It lies midway to the next value, or just below the last one.
        """
        low = self.lower[place]
        if place + 1 < self.lower.size:
            return float((low + self.upper[place + 1]) / 2)
        return float(np.nextafter(low, -np.inf))


def grouped(
    keys: npt.NDArray[Scalar], weights: Array
) -> tuple[npt.NDArray[Scalar], Array]:
    """Add up the weights of equal keys; return the keys in ascending order.

    Args:
        keys: (n,).
        weights: (..., n).

    >>> grouped(np.array([5, 2, 5], np.uint32), np.array([1.0, 2, 3]))[1].tolist()
    [2.0, 4.0]
    """
    if keys.size == 0:
        return keys, weights
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    return ordered[starts], np.add.reduceat(
        weights[..., order], starts, axis=-1
    )


def curve_of_scores(
    scores: npt.ArrayLike, anomalous: npt.NDArray[np.bool_]
) -> Curve:
    """Return the exact curve of scores (n,) and labels (n,)."""
    values, places = np.unique(
        np.asarray(scores, dtype=np.float64), return_inverse=True
    )
    size = values.size
    positives = np.bincount(places[anomalous], minlength=size)[::-1]
    negatives = np.bincount(places[~anomalous], minlength=size)[::-1]
    counts = Counts(
        negatives.astype(np.float64),
        positives.astype(np.float64),
        np.zeros(size),
    )
    return Curve(counts, values[::-1], values[::-1])
