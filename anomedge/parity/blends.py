"""Blends of two pictures whose scores lie near the threshold.

All pairs are chosen before anything runs. A few of them are searched together,
in rounds: each proposes a blend, the original runs all of these, and its outputs
for a blend near the threshold are kept with the blend.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
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

__all__ = ["Blend", "Runner", "blends"]

_SHIFTS = (0.0, 0.25, 0.5, 0.75)
"""Shifts of the anomalous picture, as shares of the width."""

_TRIES = 4
"""Pairs to try per blend."""

_TOGETHER = 4
"""Largest number of pairs that are searched together; later ones learn from earlier ones."""

_ROUND_BYTES = 256 << 20
"""Largest size of the frames of one round, in bytes; one pair always fits."""

_FRAMES_PER_PAIR = 4
"""Both pictures, their blend, and its copy in the batch."""

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
class _Blending:
    """A pair that is searched: (1 - share) normal + share defect."""

    pair: _Pair
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
    pairs = _pairs([p.name for p in pictures], distances, window)
    rounds = _Rounds(pictures, distances, decision, frame, run)
    found = rounds.found(itertools.islice(pairs, _TRIES * count), count)
    ordered = dict(track(found, "blending to the threshold", total=count))
    return [ordered[place] for place in sorted(ordered)]


class _Rounds:
    """The searches of all pairs, a few at a time."""

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
        self, pairs: Iterator[_Pair], count: int
    ) -> Iterator[tuple[tuple[int, int], Blend]]:
        """Yield up to `count` blends as they are found.

        Each comes with its place in the order: the first one of every pair, then
        the second ones.
        """
        active: list[_Blending] = []
        while count:
            free = max(0, min(self._most, count) - len(active))
            active += map(self._start, itertools.islice(pairs, free))
            if not active:
                return
            for blending, blend in self._round(active):
                search = blending.search
                if search.found:
                    self.experience.add(search)
                    count -= 1
                    yield (search.hits, blending.pair.number), blend
            active = [each for each in active if each.search.goes_on][:count]

    def _round(
        self, active: Sequence[_Blending]
    ) -> Iterator[tuple[_Blending, Blend]]:
        """Run one blend of each pair and add the point to its search."""
        shares = [each.search.proposal() for each in active]
        frames = [
            each.pixels(share)
            for each, share in zip(active, shares, strict=True)
        ]
        outputs = self.run(np.stack(frames))
        for place, each in enumerate(active):
            distance = float(outputs.score[place]) - self.decision.threshold
            each.search.add(shares[place], distance)
            name = self._name(each.pair, "above" if distance > 0 else "below")
            picture = Picture(name, pixels=frames[place])
            yield each, Blend(picture, outputs.at([place]))

    def _start(self, pair: _Pair) -> _Blending:
        normal = self.pictures[pair.normal].frame(self.frame)
        defect = self.pictures[pair.defect].frame(self.frame)
        shift = round(pair.shift * self.frame[1])
        above = float(self.distances[pair.defect])
        search = Search(
            float(self.distances[pair.normal]),
            above,
            self.window,
            self.experience.first_share(above),
            self.experience.depth,
        )
        return _Blending(pair, normal, np.roll(defect, shift, axis=1), search)

    def _name(self, pair: _Pair, side: str) -> str:
        normal, defect = self.pictures[pair.normal], self.pictures[pair.defect]
        return f"{BLENDED}{normal.name}+{defect.name}@{pair.shift:g} {side}"

    @property
    def _most(self) -> int:
        """Largest number of pairs at a time."""
        height, width = self.frame
        size = _FRAMES_PER_PAIR * 3 * height * width
        return max(1, min(_TOGETHER, _ROUND_BYTES // size))


def _pairs(
    names: Sequence[str], distances: npt.NDArray[np.float64], window: Window
) -> Iterator[_Pair]:
    """Yield every pair; then again with the anomalous picture shifted sideways.

    Consecutive pairs differ in both pictures, and the first few are spread over
    all pictures; extreme frames come last.
    """
    extreme = np.array([name.startswith(EXTREME) for name in names])
    below = _spread(_ends(distances <= 0, distances, window), extreme)
    above = _spread(_ends(distances > 0, distances, window), extreme)
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


def _spread(places: _Places, extreme: npt.NDArray[np.bool_]) -> list[int]:
    """Order places so that any first few are spread over all.

    >>> _spread(np.arange(5), np.array([True, *[False] * 4]))
    [2, 4, 1, 3, 0]
    """
    turns = np.arange(len(places)) * _GOLDEN % 1
    order = np.lexsort((turns, extreme[places]))
    return [int(place) for place in places[order]]
