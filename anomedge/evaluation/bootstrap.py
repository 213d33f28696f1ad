"""Bootstrap over pictures, stratified by label."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

__all__ = ["CONFIDENCE", "REPLICATES", "percentiles", "resampled"]

REPLICATES = 1000
"""Number of replicates of an interval."""
CONFIDENCE = 0.95
_CHUNK = 50
"""Replicates that are held in memory at once."""

Array = npt.NDArray[np.float64]


def resampled(
    anomalous: npt.NDArray[np.bool_], seed: int, replicates: int = REPLICATES
) -> Iterator[Array]:
    """Yield how often each replicate draws each picture, (part, n), in parts.

    Normal and anomalous pictures are drawn apart, with replacement, so that
    every replicate has as many of each as the sample (Efron and Tibshirani
    1993).

    Args:
        anomalous: label of each picture, (n,).
        seed: the same seed draws the same replicates.
        replicates: number of replicates in all.
    """
    generator = np.random.default_rng(seed)
    for start in range(0, replicates, _CHUNK):
        rows = min(_CHUNK, replicates - start)
        weights = np.zeros((rows, anomalous.size))
        for label in (False, True):
            places = np.flatnonzero(anomalous == label)
            if places.size:
                shares = np.full(places.size, 1 / places.size)
                weights[:, places] = generator.multinomial(
                    places.size, shares, size=rows
                )
        yield weights


def percentiles(values: Array) -> tuple[float, float] | None:
    """Return the interval that holds 95 % of the replicates' values.

    Replicates without a value are left out; None if no replicate has one.
    """
    known = values[np.isfinite(values)]
    if known.size == 0:
        return None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)
