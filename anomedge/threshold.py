"""Where the line between normal and anomalous is drawn, and what is kept of how it came about.

A threshold never lies on a score: it lies midway between two neighbouring scores of the sample, or above the largest
by a recorded margin when the sample is too small for the false-alarm rate asked for. An image is anomalous when its
score is above the threshold, a pixel when its value in the map is above the pixel threshold.
"""

import math
import sys
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from anomedge.errors import InputError

__all__ = [
    "Cut",
    "Decision",
    "Origin",
    "by_f1",
    "by_false_alarm_rate",
    "interval_of_rate",
    "scale_of_each",
    "spread",
]

Scores = npt.NDArray[np.floating]

_LEAST_GAP = 4e-4
"""Of the scale: in a narrower gap a copy that is off by the tolerance could take the other side."""

_FLOOR = 0.05
"""Of a score, the least scale for it: tolerances are 1e-4 of a scale, and float32 can honour 5e-6 of a score."""


class Cut(NamedTuple):
    """A threshold, its distance to the nearest score it was made from, and whether it was extrapolated."""

    value: float
    margin: float
    extrapolated: bool = False


class Origin(BaseModel):
    """How a threshold came about: the rule, the sample, and a digest of the very pictures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: Literal["false-alarm-rate", "f1"]
    rate: float | None = Field(default=None, gt=0, lt=1)
    source: str
    normal: int = Field(ge=0)
    anomalous: int = Field(ge=0)
    margin: FiniteFloat
    extrapolated: bool
    pictures: str


class Decision(BaseModel):
    """What turns a raw score into a verdict, and the scale that tolerances refer to.

    `minimum` and `maximum` are those of the sample's scores, for display: (score - threshold) / (maximum - minimum)
    + 1/2, clipped to [0, 1]. `scale` is the spread of the normal scores, fixed at fitting.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: FiniteFloat
    pixel_threshold: FiniteFloat
    minimum: FiniteFloat
    maximum: FiniteFloat
    scale: FiniteFloat = Field(gt=0)
    origin: Origin

    @property
    def range(self) -> float:
        """What scores are divided by to be shown; never zero, and finite where the difference overflows."""
        return min(
            max(self.maximum - self.minimum, self.scale), sys.float_info.max
        )

    def is_anomalous(self, scores: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """True where a score is above the threshold."""
        return np.asarray(np.asarray(scores, dtype=np.float64) > self.threshold)

    def mask(self, anomaly_map: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """True where the map is above the pixel threshold."""
        return np.asarray(
            np.asarray(anomaly_map, dtype=np.float64) > self.pixel_threshold
        )

    def normalised(
        self, scores: npt.ArrayLike, threshold: float | None = None
    ) -> npt.NDArray[np.float64]:
        """Scores in [0, 1] with the threshold at 1/2, for display only."""
        offset = np.asarray(scores, dtype=np.float64) - (
            self.threshold if threshold is None else threshold
        )
        return np.clip(offset / self.range + 0.5, 0.0, 1.0)


def by_false_alarm_rate(normal: Scores, rate: float) -> Cut:
    """The threshold at which a share `rate` of normal pictures is called anomalous.

    With n scores and k = floor(n rate) of them allowed above, the threshold lies midway between the k-th and the next
    largest (or at the next gap upwards when the two are equal, or nearer than copies can tell). With k = 0 the sample is too small for the rate: the
    threshold then lies one typical gap, (largest - smallest) / (n - 1), above the largest, where the next score is to
    be expected. Of exchangeable pictures, 1 in n + 1 lies above the largest of n, so that is what can be promised.

    >>> by_false_alarm_rate(np.arange(100.0), 0.01)
    Cut(value=98.5, margin=0.5, extrapolated=False)
    >>> by_false_alarm_rate(np.array([1.0, 2.0, 3.0]), 0.01).extrapolated
    True

    Raises:
        InputError: fewer than two scores, a score that is not finite, or a rate outside (0, 1).
    """
    if not 0 < rate < 1:
        raise InputError(
            f"got a false-alarm rate of {rate}; expected one between 0 and 1, such as 0.01"
        )
    scores = _checked(normal, "normal", least=2)
    allowed = math.floor(scores.size * rate + 1e-9)
    for above in range(allowed, 0, -1):
        lower, upper = (
            scores[scores.size - above - 1],
            scores[scores.size - above],
        )
        if upper - lower > _LEAST_GAP * spread(scores):
            return Cut(float((lower + upper) / 2), float((upper - lower) / 2))
    margin = spread(scores) / (scores.size - 1)
    return Cut(float(scores[-1]) + margin, margin, extrapolated=True)


def by_f1(normal: Scores, anomalous: Scores) -> Cut:
    """The threshold with the best F1 of the anomalous class, midway in the widest gap among equals.

    >>> by_f1(np.array([1.0, 2.0]), np.array([4.0, 5.0]))
    Cut(value=3.0, margin=1.0, extrapolated=False)

    Raises:
        InputError: one of the classes is empty, a score is not finite, or all scores are equal.
    """
    good, bad = (
        _checked(normal, "normal", least=1),
        _checked(anomalous, "anomalous", least=1),
    )
    scores = np.unique(np.concatenate([good, bad]))
    if scores.size < 2:
        raise InputError(
            f"got one score, {scores[0]}, for every picture; expected them to differ: fit another detector"
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
    """The interval that holds the true false-alarm rate when `alarms` of `count` normal pictures lie above the threshold.

    Clopper and Pearson's exact interval (Biometrika 26, 1934): the rates at which so few, or so many, alarms would still
    come up with probability (1 - confidence) / 2. It holds for a threshold that was laid between these very scores, too:
    the rate above the (k+1)-th largest of n exchangeable scores is Beta(k + 1, n - k) distributed, above the k-th largest
    Beta(k, n - k + 1), whatever the scores' own distribution, and those are the quantiles taken here.

    >>> [round(rate, 4) for rate in interval_of_rate(0, 100)]
    [0.0, 0.0362]
    >>> [round(rate, 4) for rate in interval_of_rate(1, 100)]
    [0.0003, 0.0545]

    Raises:
        InputError: counts or a confidence that are none.
    """
    if not 0 <= alarms <= count or count < 1 or not 0 < confidence < 1:
        raise InputError(
            f"got {alarms} alarms of {count} at confidence {confidence}; expected a part of at least one, in (0, 1)"
        )
    tail = (1 - confidence) / 2
    low = (
        0.0
        if alarms == 0
        else _solved(lambda p: 1 - _at_most(alarms - 1, count, p) - tail)
    )
    high = (
        1.0
        if alarms == count
        else _solved(lambda p: tail - _at_most(alarms, count, p))
    )
    return low, high


def _at_most(successes: int, count: int, p: float) -> float:
    """Probability of at most so many successes among `count`, each with probability p in (0, 1)."""
    k = np.arange(successes + 1)
    log_choose = math.lgamma(count + 1) - np.array(
        [math.lgamma(i + 1) + math.lgamma(count - i + 1) for i in k]
    )
    return min(
        1.0,
        float(
            np.exp(
                log_choose + k * math.log(p) + (count - k) * math.log1p(-p)
            ).sum()
        ),
    )


def _solved(rising: Callable[[float], float]) -> float:
    """Where a rising function on (0, 1) is zero, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if rising(middle) > 0 else (middle, high)
    return (low + high) / 2


def spread(normal: Scores) -> float:
    """Largest minus smallest normal score, but no less than 5 % of the largest."""
    scores = _checked(normal, "normal", least=1)
    return max(
        float(scores[-1] - scores[0]),
        _FLOOR * float(np.abs(scores).max()),
        float(np.finfo(np.float32).tiny),
    )


def scale_of_each(
    values: npt.ArrayLike, scale: float
) -> npt.NDArray[np.float64]:
    """What an error of each score, or value of a map, is a share of: the fixed scale, or 5 % of a value far above it.

    A white frame may score a thousand times what normal pictures do; a ten thousandth of their scale is then less than the
    last digit of a float32. `scale` is `spread`'s, so no value within twenty times it is held to anything else.

    >>> scale_of_each([0.0, 3.0, 800.0], 1.0).tolist()
    [1.0, 1.0, 40.0]
    """
    return np.maximum(
        scale, _FLOOR * np.abs(np.asarray(values, dtype=np.float64))
    )


def _checked(scores: Scores, kind: str, least: int) -> npt.NDArray[np.float64]:
    values = np.sort(np.asarray(scores, dtype=np.float64).ravel())
    if values.size < least:
        raise InputError(
            f"got {values.size} scores of {kind} pictures; expected at least {least}: give more pictures"
        )
    if not np.isfinite(values).all():
        raise InputError(
            f"got a score of a {kind} picture that is not finite; expected numbers: check the weights"
        )
    return values
