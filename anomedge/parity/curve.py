"""Estimate of the curve of a blend's score over its share.

At the share t the score of a blend lies by d above the threshold, about

    d = (above t - line (1 - t)) / (t + line / depth (1 - t)),

which rises from -depth at t = 0 to `above` at t = 1, steeply at first. It
crosses the threshold where the line from (0, -line) to (1, above) does. `depth`
is larger than that of the normal picture: near it the score of a blend is that
of the normal picture, and the score of the defect is far below.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Curve", "Shape"]

_SPREAD = 0.5
"""Standard deviation of the logarithms of `line` and `depth` between pairs."""

_DEPTHS = 31
_REACH = 2.5
"""Number of depths that are weighed, and their reach in standard deviations."""

_SHARES = 201
_REACH_OF_SHARES = 3.0
"""Number of shares that are proposed, and their reach in standard deviations."""

_OFF = 0.1
"""Error of the line that a point implies, as a fraction of the change from the point to the threshold."""

_LEAST = 0.1
"""Smallest distance of a point to `-depth` and `above`, as a fraction of these; both are inexact."""

_Floats = npt.NDArray[np.float64]


class Shape(NamedTuple):
    """Logarithms of `line` and `depth`, in units of the score."""

    line: float
    depth: float


class Curve:
    """A curve that is known better with each point that was run.

    For each of several depths, the logarithm of the line is normally
    distributed. A point implies a line for each depth. All points weigh the
    depths; the nearest one on each side of the threshold gives the line, because
    the errors of the others are about the same.

    Args:
        above: distance of the score at share 1 to the threshold, above 0.
        noise: standard deviation of the score at the threshold, above 0.
        expected: shape that is expected before any point.
    """

    def __init__(self, above: float, noise: float, expected: Shape) -> None:
        self._above, self._noise, self._expected = above, noise, expected
        steps = np.linspace(-_REACH, _REACH, _DEPTHS)
        self._log_depths = expected.depth + _SPREAD * steps
        self._depths = np.exp(self._log_depths)
        self._log_weights = -(steps**2) / 2
        self._nearest: dict[bool, tuple[float, float]] = {}
        self._forget()

    def add(self, share: float, distance: float) -> None:
        """Add a point, of a finite distance to the threshold, at a share between 0 and 1."""
        self._weigh(share, distance)
        side = distance > 0
        nearest = min if side else max
        point = (share, distance)
        self._nearest[side] = nearest(self._nearest.get(side, point), point)
        self._forget()
        for nearby in self._nearest.values():
            self._learn(*nearby)

    @property
    def shape(self) -> Shape:
        """Mean shape."""
        weights = self._weights
        return Shape(
            float(weights @ self._lines), float(weights @ self._log_depths)
        )

    def shares(self) -> _Floats:
        """Return shares, ascending, around the most likely crossing."""
        line = self.shape.line
        variance = self._weights @ (self._variances + (self._lines - line) ** 2)
        reach = _REACH_OF_SHARES * math.sqrt(variance)
        lines = np.exp(np.linspace(line - reach, line + reach, _SHARES))
        return np.asarray(lines / (lines + self._above))

    def chances(self, shares: _Floats, least: float, most: float) -> _Floats:
        """Return the probability of a score between two distances, for each share."""
        noise = self._noise * self._slope(0.0)
        deviations = np.sqrt(self._variances + noise**2)
        # A larger distance at the same share implies a smaller line.
        upper, lower = (
            _normal((self._line(shares, end) - self._lines) / deviations)
            for end in (least, most)
        )
        return np.asarray((upper - lower) @ self._weights)

    def _forget(self) -> None:
        """Set the lines to the expected one, or to the nearest one that crosses between the nearest points."""
        line = self._expected.line
        if False in self._nearest:
            line = max(line, self._line_to(self._nearest[False][0]))
        if True in self._nearest:
            line = min(line, self._line_to(self._nearest[True][0]))
        self._lines = np.full(_DEPTHS, line)
        self._variances = np.full(_DEPTHS, _SPREAD**2)

    def _weigh(self, share: float, distance: float) -> None:
        """Weigh the depths by how likely each made the distance."""
        off = self._line(share, distance) - self._lines
        variance = self._variances + self._error(share, distance) ** 2
        self._log_weights -= off**2 / variance / 2
        self._log_weights -= np.log(variance / self._slope(distance) ** 2) / 2

    def _learn(self, share: float, distance: float) -> None:
        """Move the lines towards those that a point implies."""
        off = self._line(share, distance) - self._lines
        variance = self._error(share, distance) ** 2
        total = self._variances + variance
        self._lines += off * self._variances / total
        self._variances *= variance / total

    def _line(self, share: float | _Floats, distance: float) -> _Floats:
        """Return the logarithm of the line of a curve through a point (..., depths)."""
        odds = np.asarray(share / (1 - share))[..., None]
        fall, rise = self._distances(distance)
        return np.asarray(np.log(odds * fall / rise * self._depths))

    def _line_to(self, crossing: float) -> float:
        """Return the logarithm of the line of all curves that cross the threshold at a share."""
        return math.log(crossing / (1 - crossing) * self._above)

    def _error(self, share: float, distance: float) -> _Floats:
        """Return the standard deviation of the logarithm of the line."""
        way = self._line(share, distance) - self._line(share, 0.0)
        return np.asarray(self._noise * self._slope(0.0) + _OFF * np.abs(way))

    def _slope(self, distance: float) -> _Floats:
        """Return how fast the logarithm of the line falls with the distance."""
        fall, rise = self._distances(distance)
        return np.asarray(1 / fall + 1 / rise)

    def _distances(self, distance: float) -> tuple[float, _Floats]:
        """Return the distances of a score to `above` and to `-depth`."""
        fall = max(self._above - distance, _LEAST * self._above)
        rise = np.maximum(self._depths + distance, _LEAST * self._depths)
        return fall, rise

    @property
    def _weights(self) -> _Floats:
        weights = np.exp(self._log_weights - self._log_weights.max())
        return np.asarray(weights / weights.sum())


def _normal(values: _Floats) -> _Floats:
    """Return the normal distribution function, within 0.01.

    >>> _normal(np.array([-50.0, 0.0, 1.0])).round(2)
    array([0.  , 0.5 , 0.85])
    """
    return np.asarray((1 + np.tanh(0.851 * values)) / 2)
