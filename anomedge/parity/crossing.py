"""Search of the share at which the score of a blend crosses the threshold.

The score rises from a normal to an anomalous picture. Each run costs much, so a
search uses as few as it can: regula falsi in the bracket of the points that were
run (Illinois method), and steps of the expected slope until there is a point on
each side. Searches that are done tell later ones where to look first and how
steep the score is there.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from anomedge.threshold import Decision, scale_of_each

__all__ = ["Experience", "Search", "Window"]

_NEAR = 0.01
_UNDECIDABLE = 2e-4
"""Smallest distance of a blend to the threshold, as a fraction of its scale.

Twice the fp32 tolerance: at a smaller distance both labels are correct.
"""

_STEPS = 6
"""Largest number of runs of a search."""

_FINEST = 1 / 512
"""Smallest width of a bracket; frames have 256 grey levels."""

_JUMP = 0.3
"""Distance of the first run that ends a search, as a fraction of the span."""

_STEEPER = 2.0
"""Depth of the tangent over that of the line to the picture, at first."""

_LEAST_RISE = 0.5
"""Smallest rise up to a point below the threshold, as a fraction of the depth."""

_PLAUSIBLE = 2.0
"""Largest factor between the slope of a secant on one side and the expected slope.

Scores hardly change near the normal picture; a secant there points far away.
"""

_GROWTH = 1.5
"""Growth of the steps on one side of the threshold."""


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


class _Point(NamedTuple):
    share: float
    distance: float


class Experience:
    """Depths of finished searches, in units of the score.

    The score of a blend is the larger one of two: that of the normal picture,
    which stays, and that of the defect, which rises from a depth below the
    threshold that is similar in all pairs. So the crossing lies on the line from
    (0, -depth) to a point above the threshold. The depth of the line to the
    anomalous picture is smaller than that of the tangent at the crossing,
    because scores saturate.

    Args:
        typical: distance of a normal picture's score below the threshold, from
            which the first search starts.
    """

    def __init__(self, typical: float) -> None:
        self._of_pictures = [typical]
        self._of_tangents = [_STEEPER * typical]

    def first_share(self, above: float) -> float:
        """Return the share to run first.

        Args:
            above: distance of the anomalous picture's score to the threshold.
        """
        depth = _median(self._of_pictures)
        return depth / (depth + above)

    @property
    def depth(self) -> float:
        """Depth of the tangent at the crossing."""
        return _median(self._of_tangents)

    def add(self, search: Search) -> None:
        """Add a search that found a blend."""
        share, slope = search.crossing()
        if 0 < share < 1 and 0 < slope < math.inf:
            self._of_pictures.append(search.above * share / (1 - share))
            self._of_tangents.append(slope * share)


@dataclass
class Search:
    """The search of one crossing between the shares 0 and 1.

    Args:
        below: distance of the score at share 0 to the threshold, at most 0.
        above: distance of the score at share 1, above 0.
        window: wanted distances.
        first_share: share to run first.
        depth: as of `Experience`.
    """

    below: float
    above: float
    window: Window
    first_share: float
    depth: float
    _points: list[_Point] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._low = _Point(0.0, self.below)
        self._high = _Point(1.0, self.above)

    def add(self, share: float, distance: float) -> None:
        """Add a point that was run; it becomes the bracket's end on its side."""
        self._points.append(_Point(share, distance))
        if distance > 0:
            self._high = self._points[-1]
        else:
            self._low = self._points[-1]

    @property
    def found(self) -> bool:
        """Whether the last run hit the window, on this side for the first time."""
        *earlier, last = self._points
        return self.window.holds(last.distance) and not any(
            self.window.holds(point.distance)
            and (point.distance > 0) == (last.distance > 0)
            for point in earlier
        )

    @property
    def goes_on(self) -> bool:
        """Whether another run may hit.

        After the first hit there is one more run, for the other side of the
        threshold: with the crossing known, it mostly hits as well.
        """
        if self.hits:
            return self.hits == 1 and self.found
        if len(self._points) == _STEPS:
            return False
        if self._high.share - self._low.share < _FINEST:
            return False
        # Far above at once: the score jumps next to the normal picture.
        jump = _JUMP * (self.above - self.below)
        return len(self._points) > 1 or self._points[-1].distance < jump

    def proposal(self) -> float:
        """Return the share to run next, inside the bracket."""
        if not self._points:
            return self.first_share
        low, high = self._low.share, self._high.share
        share, slope = self.crossing()
        share += self._aim / slope
        return share if low < share < high else (low + high) / 2

    @property
    def hits(self) -> int:
        """Number of runs that hit the window."""
        return sum(self.window.holds(p.distance) for p in self._points)

    @property
    def _aim(self) -> float:
        """Distance to the threshold at which the next run aims."""
        middle = (self.window.least + self.window.most) / 2
        if self.found:
            return -middle if self._points[-1].distance > 0 else middle
        too_near = any(
            abs(p.distance) < self.window.least for p in self._points
        )
        return middle if too_near else 0.0

    def crossing(self) -> tuple[float, float]:
        """Estimate the share of the crossing and the slope of the score there, after at least one run."""
        if self._low.share > 0 and self._high.share < 1:
            return self._between()
        return self._beyond()

    def _between(self) -> tuple[float, float]:
        """Regula falsi; the distance of an end that stays is halved, so that it moves too."""
        factor = 0.5 ** (self._repeats() - 1)
        low, high = self._low, self._high
        if self._points[-1].distance > 0:
            low = low._replace(distance=low.distance * factor)
        else:
            high = high._replace(distance=high.distance * factor)
        slope = _secant(low, high)
        return low.share - low.distance / slope, slope

    def _beyond(self) -> tuple[float, float]:
        """Step on from the last point, while all points lie on one side."""
        last = self._points[-1]
        rise = max(last.distance + self.depth, _LEAST_RISE * self.depth)
        slope = rise / last.share
        if len(self._points) > 1:
            secant = _secant(self._points[-2], last)
            if slope / _PLAUSIBLE < secant < slope * _PLAUSIBLE:
                slope = secant
        slope /= _GROWTH ** max(0, len(self._points) - 2)
        return last.share - last.distance / slope, slope

    def _repeats(self) -> int:
        """Count the last points that lie on one side."""
        sides = [point.distance > 0 for point in reversed(self._points)]
        same = itertools.takewhile(lambda side: side == sides[0], sides)
        return len(list(same))


def _median(values: list[float]) -> float:
    return float(np.median(values))


def _secant(one: _Point, other: _Point) -> float:
    return (one.distance - other.distance) / (one.share - other.share)
