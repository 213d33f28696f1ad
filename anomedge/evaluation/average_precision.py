"""Average precision, from counts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anomedge.evaluation.curve import Counts

__all__ = ["average_precision"]


def average_precision(counts: Counts) -> npt.NDArray[np.float64]:
    """Return the mean precision over the anomalous values, without interpolation.

    The precision of a value is that at the threshold just below it, as in
    scikit-learn. The result is not a number without anomalous values.

    >>> one = np.array([1.0, 0, 1, 0])
    >>> round(float(average_precision(Counts(1 - one, one, one))), 4)
    0.8333
    """
    hits = np.cumsum(counts.positives, axis=-1)
    alarms = np.cumsum(counts.negatives, axis=-1)
    # A replicate of a bootstrap may lack the first values.
    precision = hits / np.maximum(hits + alarms, 1)
    positive = counts.positives.sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return np.asarray(
            (counts.positives * precision).sum(axis=-1) / positive
        )
