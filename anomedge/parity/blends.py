"""Blends of two pictures whose scores lie near the threshold.

All pairs are chosen before anything runs. They are searched one after the other,
because each search starts from the curves of the earlier ones. A blend near the
threshold is stored with the outputs of the original.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomedge.images import Frame, Picture
from anomedge.parity.crossing import Experience, Search, Window
from anomedge.parity.outputs import Outputs
from anomedge.parity.pictures import BLENDED, EXTREME
from anomedge.progress import track
from anomedge.threshold import Decision

__all__ = ["Blend", "Blending", "Runner", "blends", "spread"]

_SHIFTS = (0.0, 0.25, 0.5, 0.75)
"""Shifts of the anomalous picture, as shares of the width."""

_TRIES = 4
"""Pairs to try per blend."""

_GOLDEN = (5**0.5 - 1) / 2

_Places = npt.NDArray[np.intp]
Runner = Callable[[npt.NDArray[np.uint8]], Outputs]


class Blend(NamedTuple):
    """A blend and the original's outputs for this one picture."""

    picture: Picture
    outputs: Outputs


class _Pair(NamedTuple):
    """Places of a normal and an anomalous picture; the latter is shifted by a share of the width."""

    number: int
    normal: int
    defect: int
    shift: float


@dataclass
class Blending:
    """A pair that is searched: (1 - share) normal + share defect."""

    normal: Frame
    defect: Frame
    search: Search

    def pixels(self, share: float) -> Frame:
        """Return the blend, rounded to grey levels."""
        mixed = np.float32(1 - share) * self.normal
        mixed += np.float32(share) * self.defect
        return np.asarray(mixed.round(out=mixed).astype(np.uint8))


def blends(
    pictures: Sequence[Picture],
    scores: npt.NDArray[np.floating],
    decision: Decision,
    frame: tuple[int, int],
    run: Runner,
    count: int,
) -> list[Blend]:
    """Blend pictures so that their scores lie within 1 % of the threshold.

    A blend is (1 - t) normal + t anomalous, rounded to grey levels.

    Args:
        pictures: the N pictures to blend.
        scores: their scores (N,).
        decision: the decision with the threshold.
        frame: (height, width) in pixels.
        run: maps frames, uint8 (B, H, W, 3), to the outputs of the original.
        count: largest number of blends.

    Returns:
        Up to `count` blends; none if all pictures lie on one side of the
        threshold, or if 1 % of the threshold is less than float32 can decide.
    """
    window = Window.of(decision)
    if window.most < window.least:
        return []
    distances = np.asarray(scores, dtype=np.float64) - decision.threshold
    # NaN lies on neither side of the threshold.
    distances[~np.isfinite(distances)] = np.nan
    if not (distances <= 0).any() or not (distances > 0).any():
        return []
    extreme = np.array([p.generated == EXTREME for p in pictures])
    pairs = _pairs(extreme, distances, window)
    searches = _Searches(pictures, distances, decision, frame, run)
    tried = itertools.islice(pairs, _TRIES * count)
    found = itertools.islice(searches.found(tried), count)
    ordered = dict(track(found, "blending to the threshold", total=count))
    return [ordered[place] for place in sorted(ordered)]


class _Searches:
    """The searches of all pairs, one after the other."""

    def __init__(
        self,
        pictures: Sequence[Picture],
        distances: npt.NDArray[np.float64],
        decision: Decision,
        frame: tuple[int, int],
        run: Runner,
    ) -> None:
        self.pictures, self.distances = pictures, distances
        self.decision, self.frame, self.run = decision, frame, run
        self.window = Window.of(decision)
        below = float(np.median(-distances[distances <= 0]))
        self.experience = Experience(max(below, self.window.most))

    def found(
        self, pairs: Iterable[_Pair]
    ) -> Iterator[tuple[tuple[int, int], Blend]]:
        """Yield blends as they are found.

        Each comes with its place in the order: the first one of every pair, then
        the second ones.
        """
        for pair in pairs:
            blending = self._start(pair)
            search = blending.search
            for blend in self._blends(pair, blending):
                yield (search.hits, pair.number), blend
            self.experience.add(search)

    def _blends(self, pair: _Pair, blending: Blending) -> Iterator[Blend]:
        """Yield up to two blends of a pair, one on each side of the threshold."""
        search = blending.search
        while search.goes_on:
            share = search.proposal()
            pixels = blending.pixels(share)
            outputs = self.run(pixels[None])
            distance = float(outputs.score[0]) - self.decision.threshold
            if search.add(share, distance):
                side = "above" if distance > 0 else "below"
                name = self._name(pair, side)
                picture = Picture(name, pixels=pixels, generated=BLENDED)
                yield Blend(picture, outputs)

    def _start(self, pair: _Pair) -> Blending:
        normal = self.pictures[pair.normal].frame(self.frame)
        defect = self.pictures[pair.defect].frame(self.frame)
        shift = round(pair.shift * self.frame[1])
        search = Search(
            float(self.distances[pair.defect]),
            self.window,
            self.experience.expected,
        )
        return Blending(normal, np.roll(defect, shift, axis=1), search)

    def _name(self, pair: _Pair, side: str) -> str:
        normal, defect = self.pictures[pair.normal], self.pictures[pair.defect]
        return f"{BLENDED}/{normal.name}+{defect.name}@{pair.shift:g} {side}"


def _pairs(
    extreme: npt.NDArray[np.bool_],
    distances: npt.NDArray[np.float64],
    window: Window,
) -> Iterator[_Pair]:
    """Yield every pair; then again with the anomalous picture shifted sideways.

    Consecutive pairs differ in both pictures, and the first few are spread over
    all pictures; extreme frames come last.
    """
    below = spread(_ends(distances <= 0, distances, window), extreme)
    above = spread(_ends(distances > 0, distances, window), extreme)
    numbers = itertools.count()
    turns = itertools.product(_SHIFTS, range(len(below)), enumerate(above))
    for shift, turn, (place, defect) in turns:
        normal = below[(place + turn) % len(below)]
        yield _Pair(next(numbers), normal, defect, shift)


def _ends(
    side: npt.NDArray[np.bool_],
    distances: npt.NDArray[np.float64],
    window: Window,
) -> _Places:
    """Return the places of one side of the threshold.

    Pictures inside the window are left out if there are others: a blend of them
    is hardly another picture.
    """
    clear = np.flatnonzero(side & (np.abs(distances) > window.most))
    return clear if clear.size else np.flatnonzero(side)


def spread(places: _Places, extreme: npt.NDArray[np.bool_]) -> list[int]:
    """Order places so that any first few are spread over all.

    >>> spread(np.arange(5), np.array([True, *[False] * 4]))
    [2, 4, 1, 3, 0]
    """
    turns = np.arange(len(places)) * _GOLDEN % 1
    order = np.lexsort((turns, extreme[places]))
    return [int(place) for place in places[order]]
