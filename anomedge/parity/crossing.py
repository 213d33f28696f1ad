"""Search of the share at which the score of a blend crosses the threshold.

Each run costs much, so a search uses as few as it can: it estimates the curve
of the score from the runs so far, and next runs the share that most likely
hits. Searches that are done tell later ones what curve to expect.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from anomedge.parity.curve import Curve, Shape
from anomedge.threshold import Decision, scale_of_each

__all__ = ["Experience", "Search", "Window"]

_NEAR = 0.01
_UNDECIDABLE = 2e-4
"""Smallest distance of a blend to the threshold, as a fraction of its scale.

Twice the fp32 tolerance: at a smaller distance both labels are correct.
"""

_PART = 0.5
"""Smallest step between two runs, as a fraction of the step along the line through them.

Without a run on one side of the threshold, the line goes to the end of the expected curve.
"""

_LINE, _DEPTH = 1.5, 4.0
"""Shape to expect of the first curve, as multiples of the typical distance of a normal picture."""

_NOISE = 0.5
"""Deviation of scores from a smooth curve, as a fraction of the window."""

_RUNS = 6
"""Largest number of runs up to the first hit."""

_MORE_RUNS = 2
"""Largest number of runs after the first hit, for the other side."""

_SURE = 2
"""Number of runs after which a chance is believed."""

_UNLIKELY = 0.35
"""Chance of a hit below which a search ends.

A blend costs less than three runs on average; a smaller chance is worth less
than another pair.
"""


class Window(NamedTuple):
    """Smallest and largest distance of a blend's score to the threshold."""

    least: float
    most: float

    @classmethod
    def of(cls, decision: Decision) -> Window:
        """Return the window of a decision: within 1 %, and decidable."""
        scale = scale_of_each(decision.threshold, decision.scale)
        return cls(_UNDECIDABLE * float(scale), _NEAR * abs(decision.threshold))

    def holds(self, distance: float) -> bool:
        """Whether a score at this distance to the threshold is wanted."""
        return self.least <= abs(distance) <= self.most


class Experience:
    """Shapes of the curves of finished searches.

    Args:
        typical: distance of a normal picture's score below the threshold, above
            0, from which the first search starts.
    """

    def __init__(self, typical: float) -> None:
        first = Shape(math.log(_LINE * typical), math.log(_DEPTH * typical))
        self._shapes = [first]

    @property
    def expected(self) -> Shape:
        """Shape to expect of the next curve."""
        line, depth = np.mean(self._shapes, axis=0)
        return Shape(float(line), float(depth))

    def add(self, search: Search) -> None:
        """Add a finished search; one without a hit says nothing."""
        if search.hits:
            self._shapes.append(search.shape)


class _Point(NamedTuple):
    share: float
    distance: float


class Search:
    """The search of one crossing between the shares 0 and 1.

    Args:
        above: distance of the score at share 1 to the threshold, above 0.
        window: wanted distances.
        expected: shape to expect of the curve.
    """

    def __init__(self, above: float, window: Window, expected: Shape) -> None:
        self._window = window
        self._curve = Curve(above, _NOISE * window.most, expected)
        depth = max(math.exp(expected.depth), 2 * window.most)
        self._ends = (
            _Point(0.0, -depth),
            _Point(1.0, max(above, 2 * window.most)),
        )
        self._points: list[_Point] = []
        self._hit_sides: list[bool] = []
        self._runs_after_hit = 0
        self._broken = False

    def add(self, share: float, distance: float) -> bool:
        """Add a run; return whether it is the first to hit the window on its side of the threshold."""
        self._points.append(_Point(share, distance))
        if not math.isfinite(distance):
            self._broken = True
            return False
        self._curve.add(share, distance)
        self._runs_after_hit += bool(self._hit_sides)
        side = distance > 0
        hit = self._window.holds(distance) and side not in self._hit_sides
        if hit:
            self._hit_sides.append(side)
        return hit

    @property
    def hits(self) -> int:
        """Number of sides of the threshold on which a run hit."""
        return len(self._hit_sides)

    @property
    def shape(self) -> Shape:
        """Estimated shape of the curve."""
        return self._curve.shape

    @property
    def goes_on(self) -> bool:
        """Whether another run may hit."""
        if self._broken or self.hits == 2:
            return False
        if self._runs_after_hit == _MORE_RUNS:
            return False
        runs = len(self._points)
        if not self.hits and runs <= _SURE:
            return True
        return (
            self.hits == 1 or runs < _RUNS
        ) and self._best().chance >= _UNLIKELY

    def proposal(self) -> float:
        """Return the share to run next, inside the bracket."""
        return self._best().share

    def _best(self) -> _Proposal:
        """Return the share that most likely hits on a side without a hit."""
        ranges = self._wanted()
        brackets = [self._bracket(wanted) for wanted in ranges]
        low = min(bracket.low for bracket in brackets)
        high = max(bracket.high for bracket in brackets)
        shares = np.clip(self._curve.shares(), low, high)
        chances = np.zeros_like(shares)
        for wanted, bracket in zip(ranges, brackets, strict=True):
            inside = (bracket.low <= shares) & (shares <= bracket.high)
            chances += inside * self._curve.chances(shares, *wanted)
        best = int(np.argmax(chances))
        return _Proposal(float(shares[best]), float(chances[best]))

    def _wanted(self) -> list[_Range]:
        """Return the distances that are wanted on the sides without a hit."""
        least, most = self._window
        ranges = {True: _Range(least, most), False: _Range(-most, -least)}
        return [
            wanted
            for side, wanted in ranges.items()
            if side not in self._hit_sides
        ]

    def _bracket(self, wanted: _Range) -> _Range:
        """Return the shares to run for wanted distances: between the nearest runs, and not next to them."""
        points = [*self._ends, *self._points]
        low = max(p for p in points if p.distance < wanted.low)
        high = min(p for p in points if p.distance > wanted.high)
        if low.share > high.share:
            # Scores need not rise everywhere.
            return _Range(high.share, low.share)
        middle = (wanted.low + wanted.high) / 2
        per_distance = (high.share - low.share) / (high.distance - low.distance)
        return _Range(
            low.share + _PART * per_distance * (middle - low.distance),
            high.share - _PART * per_distance * (high.distance - middle),
        )


class _Range(NamedTuple):
    low: float
    high: float


class _Proposal(NamedTuple):
    share: float
    chance: float
