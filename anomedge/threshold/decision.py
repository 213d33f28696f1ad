"""Thresholds on raw scores.

A threshold lies midway between two neighbouring scores of a sample, or above
the largest score by a recorded margin if the sample is too small for the
requested false-alarm rate. An image is anomalous if its score is above the
threshold, a pixel if its map value is above the pixel threshold. A detector
without a map has no pixel threshold.
"""

import math
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import (
    Field,
    FiniteFloat,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from anomedge.errors import InputError
from anomedge.threshold.origin import Origin, Record

__all__ = [
    "FLOOR",
    "Cut",
    "Decision",
    "Scores",
    "by_f1",
    "by_false_alarm_rate",
    "interval_of_rate",
    "least_gap",
    "scale_of_each",
    "sorted_scores",
    "spread",
]

Scores = npt.NDArray[np.floating]

_LEAST_GAP = 4e-4
"""Minimum gap between scores, as a fraction of the scale.

In a smaller gap an error within tolerance could flip the label.
"""

FLOOR = 0.05
"""Minimum scale of an error, as a share of the score.

Tolerances are 1e-4 of the scale; 5e-6 of a score is feasible in float32.
"""


class Cut(NamedTuple):
    """A threshold, its distance to the nearest score, and its kind.

    An extrapolated threshold lies above all scores.
    """

    value: float
    margin: float
    extrapolated: bool = False


class Decision(Record):
    """Thresholds, and the scale that tolerances refer to.

    `minimum` and `maximum` are those of the scores of the sample, for display:
    (score - threshold) / (maximum - minimum) + 1/2, clipped to [0, 1]. `scale`
    is the spread of the normal scores without outliers, fixed at fitting.
    `pixel_threshold` is None for a detector without a map, and then left out of
    files.
    """

    threshold: FiniteFloat
    pixel_threshold: FiniteFloat | None = None
    minimum: FiniteFloat
    maximum: FiniteFloat
    scale: FiniteFloat = Field(gt=0)
    origin: Origin

    @model_serializer(mode="wrap")
    def _without_absent_threshold(
        self, serialize: SerializerFunctionWrapHandler
    ) -> dict[str, Any]:
        content: dict[str, Any] = serialize(self)
        if not self.has_map:
            content.pop("pixel_threshold", None)
        return content

    @property
    def has_map(self) -> bool:
        """Whether the detector gives an anomaly map."""
        return self.pixel_threshold is not None

    @property
    def threshold_of_map(self) -> float:
        """The pixel threshold of a detector with a map.

        Raises:
            InputError: the detector has no map.
        """
        if self.pixel_threshold is None:
            raise InputError(
                "got a detector without an anomaly map; "
                "expected one with a map: use its score alone"
            )
        return self.pixel_threshold

    @property
    def range(self) -> float:
        """Divisor of scores for display; positive and finite."""
        return min(
            max(self.maximum - self.minimum, self.scale), sys.float_info.max
        )

    def is_anomalous(self, scores: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return whether each score is above the threshold."""
        return np.asarray(np.asarray(scores, dtype=np.float64) > self.threshold)

    def mask(self, anomaly_map: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return whether each map value is above the pixel threshold."""
        return np.asarray(
            np.asarray(anomaly_map, dtype=np.float64) > self.threshold_of_map
        )

    def normalised(
        self, scores: npt.ArrayLike, threshold: float | None = None
    ) -> npt.NDArray[np.float64]:
        """Map scores to [0, 1] with the threshold at 1/2, for display only."""
        if threshold is None:
            threshold = self.threshold
        offset = np.asarray(scores, dtype=np.float64) - threshold
        return np.clip(offset / self.range + 0.5, 0.0, 1.0)


def by_false_alarm_rate(normal: Scores, rate: float) -> Cut:
    """Compute the threshold for a false-alarm rate on normal pictures.

    With n scores, k = floor(n rate) of them may lie above the threshold. It lies
    midway between the k-th and the next largest, or in the next larger gap if
    that gap is below the minimum. With k = 0 the sample is too small for the
    rate; the threshold then lies one typical gap, (largest - smallest) /
    (n - 1), above the largest score. One in n + 1 exchangeable pictures lies
    above the largest of n.

    >>> by_false_alarm_rate(np.arange(100.0), 0.01)
    Cut(value=98.5, margin=0.5, extrapolated=False)
    >>> by_false_alarm_rate(np.array([1.0, 2.0, 3.0]), 0.01).extrapolated
    True

    Raises:
        InputError: fewer than two scores, a score that is not finite, or a rate outside (0, 1).
    """
    if not 0 < rate < 1:
        raise InputError(
            f"got a false-alarm rate of {rate}; "
            "expected one between 0 and 1, such as 0.01"
        )
    scores = sorted_scores(normal, "normal", least=2)
    allowed = math.floor(scores.size * rate + 1e-9)
    for above in range(allowed, 0, -1):
        upper = scores[scores.size - above]
        lower = scores[scores.size - above - 1]
        if upper - lower > least_gap(scores):
            return Cut(float((lower + upper) / 2), float((upper - lower) / 2))
    margin = spread(scores) / (scores.size - 1)
    return Cut(float(scores[-1]) + margin, margin, extrapolated=True)


def by_f1(normal: Scores, anomalous: Scores) -> Cut:
    """Compute the threshold with the best F1 of the anomalous class.

    Among equal thresholds, choose the middle of the widest gap.

    >>> by_f1(np.array([1.0, 2.0]), np.array([4.0, 5.0]))
    Cut(value=3.0, margin=1.0, extrapolated=False)

    Raises:
        InputError: one of the classes is empty, a score is not finite, or all scores are equal.
    """
    good = sorted_scores(normal, "normal", least=1)
    bad = sorted_scores(anomalous, "anomalous", least=1)
    scores = np.unique(np.concatenate([good, bad]))
    if scores.size < 2:
        raise InputError(
            f"got one score, {scores[0]}, for every picture; "
            "expected them to differ: fit another detector"
        )
    cuts, half_gaps = (scores[1:] + scores[:-1]) / 2, np.diff(scores) / 2
    hits = bad.size - np.searchsorted(bad, cuts)
    alarms = good.size - np.searchsorted(good, cuts)
    f1 = 2 * hits / (hits + alarms + bad.size)
    equals = np.flatnonzero(f1 == f1.max())
    best = equals[half_gaps[equals].argmax()]
    return Cut(float(cuts[best]), float(half_gaps[best]))


def interval_of_rate(
    alarms: int, count: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the confidence interval of the true false-alarm rate.

    Given `alarms` of `count` normal pictures above the threshold, this is the
    exact interval of Clopper and Pearson (Biometrika 26, 1934). It also holds
    for a threshold computed from these scores: the rate above the (k+1)-th
    largest of n exchangeable scores has the distribution Beta(k + 1, n - k),
    above the k-th largest Beta(k, n - k + 1). The limits are their quantiles.

    >>> [round(rate, 4) for rate in interval_of_rate(0, 100)]
    [0.0, 0.0362]
    >>> [round(rate, 4) for rate in interval_of_rate(1, 100)]
    [0.0003, 0.0545]

    Raises:
        InputError: invalid counts or confidence.
    """
    if not 0 <= alarms <= count or count < 1 or not 0 < confidence < 1:
        raise InputError(
            f"got {alarms} alarms of {count} at confidence {confidence}; "
            "expected a part of at least one, in (0, 1)"
        )
    tail = (1 - confidence) / 2
    low, high = 0.0, 1.0
    if alarms > 0:
        low = _root(lambda p: 1 - _at_most(alarms - 1, count, p) - tail)
    if alarms < count:
        high = _root(lambda p: tail - _at_most(alarms, count, p))
    return low, high


def _at_most(successes: int, count: int, p: float) -> float:
    """Return the binomial probability of at most `successes` of `count`."""
    k = np.arange(successes + 1)
    log_factorials = [
        math.lgamma(i + 1) + math.lgamma(count - i + 1) for i in k
    ]
    log_choose = math.lgamma(count + 1) - np.array(log_factorials)
    log_terms = log_choose + k * math.log(p) + (count - k) * math.log1p(-p)
    return min(1.0, float(np.exp(log_terms).sum()))


def _root(rising: Callable[[float], float]) -> float:
    """Find the root of an increasing function on (0, 1) by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2


def spread(normal: Scores) -> float:
    """Return the range of normal scores, at least 5 % of the largest."""
    scores = sorted_scores(normal, "normal", least=1)
    return max(
        float(scores[-1] - scores[0]),
        FLOOR * float(np.abs(scores).max()),
        float(np.finfo(np.float32).tiny),
    )


def least_gap(normal: Scores) -> float:
    """Return the minimum gap between two scores around a threshold."""
    return _LEAST_GAP * spread(normal)


def scale_of_each(
    values: npt.ArrayLike, scale: float
) -> npt.NDArray[np.float64]:
    """Return the scale for the error of each score or map value.

    It is the fixed scale, or 5 % of a value if that is larger. A white frame may
    score a thousand times as high as normal pictures; 1e-4 of their scale is
    then below the precision of float32. For `scale` from `spread`, values up to
    20 times the scale keep the fixed scale.

    >>> scale_of_each([0.0, 3.0, 800.0], 1.0).tolist()
    [1.0, 1.0, 40.0]
    """
    return np.maximum(
        scale, FLOOR * np.abs(np.asarray(values, dtype=np.float64))
    )


def sorted_scores(
    scores: Scores, kind: str, least: int
) -> npt.NDArray[np.float64]:
    """Return the scores of `kind` pictures in ascending order, float64.

    Raises:
        InputError: fewer than `least` scores, or one that is not finite.
    """
    values = np.sort(np.asarray(scores, dtype=np.float64).ravel())
    if values.size < least:
        raise InputError(
            f"got {values.size} scores of {kind} pictures; "
            f"expected at least {least}: give more pictures"
        )
    if not np.isfinite(values).all():
        raise InputError(
            f"got a score of a {kind} picture that is not finite; "
            "expected numbers: check the weights"
        )
    return values
