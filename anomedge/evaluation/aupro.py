"""Area under the curve of per-region overlap, AUPRO (Bergmann et al. 2021)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anomedge.evaluation.curve import Counts

__all__ = ["LIMIT", "aupro"]

LIMIT = 0.3
"""Largest false-positive rate of the integral."""

Array = npt.NDArray[np.float64]


def aupro(counts: Counts, limit: float = LIMIT) -> Array:
    """Integrate the per-region overlap over the false-positive rate up to `limit`.

    The per-region overlap at a threshold is the mean over the regions of the
    share of each region that lies above it; the false-positive rate is the share
    of normal pixels above it. The area is divided by `limit`, so that 1 is
    perfect. Between two values the curve is a straight line, as in the authors'
    code. The result is not a number without regions or normal pixels.

    Reference:
        Bergmann, Batzner, Fauser, Sattlegger, Steger: The MVTec Anomaly
        Detection Dataset, International Journal of Computer Vision 129, 2021.

    >>> one = np.array([1.0, 0, 1, 0])
    >>> float(aupro(Counts(1 - one, one, one / 2), limit=1.0))
    0.75
    """
    with np.errstate(invalid="ignore"):
        rate = _cumulative_share(counts.negatives)
        overlap = _cumulative_share(counts.coverage)
    width = np.diff(rate, axis=-1)
    inside = np.clip(limit - rate[..., :-1], 0, width)
    rise = np.diff(overlap, axis=-1)
    # Height where a segment ends or meets the limit; vertical ones have no area.
    slope = np.divide(rise, width, out=np.zeros_like(rise), where=width > 0)
    middle = overlap[..., :-1] + slope * inside / 2
    return np.asarray((inside * middle).sum(axis=-1) / limit)


def _cumulative_share(values: Array) -> Array:
    """Return the cumulative sum divided by the total, with a leading 0."""
    total = values.sum(axis=-1, keepdims=True)
    shares = np.cumsum(values, axis=-1) / total
    return np.concatenate([np.zeros_like(total), shares], axis=-1)
