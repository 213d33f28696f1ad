"""Area under the ROC curve, from counts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anomedge.evaluation.curve import Counts

__all__ = ["auroc", "tie_mass"]


def auroc(counts: Counts) -> npt.NDArray[np.float64]:
    """Return the share of pairs in which the anomalous value is the larger one.

    Equal values count half (Mann and Whitney 1947). The result is not a number
    without both classes.

    >>> one = np.array([[1.0, 0, 1, 0]])
    >>> auroc(Counts(1 - one, one, one)).tolist()
    [0.75]
    """
    below = _below(counts.negatives) + counts.negatives / 2
    return _share(counts, (counts.positives * below).sum(axis=-1))


def tie_mass(counts: Counts) -> npt.NDArray[np.float64]:
    """Return the share of pairs of equal values.

    Where equal values stand for rounded ones, the true AUROC differs by at most
    half of this.
    """
    return _share(counts, (counts.positives * counts.negatives).sum(axis=-1))


def _below(negatives: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the number of normal values below each value."""
    total = negatives.sum(axis=-1, keepdims=True)
    return np.asarray(total - np.cumsum(negatives, axis=-1))


def _share(
    counts: Counts, pairs: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Divide by the number of pairs of an anomalous and a normal value."""
    positive = counts.positives.sum(axis=-1)
    negative = counts.negatives.sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return np.asarray(pairs / (positive * negative))
