"""Blends at other levels of the score than the threshold.

A graph can answer rightly at the threshold and wrongly in an interval of scores above it. The score of a blend changes
continuously with its share, so a level between the scores of two pictures is always met. The range between the lowest
and the highest score is divided into parts, narrow ones at the threshold; one level is drawn in each. Nobody who makes a
bundle knows them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomedge.images import Frame, Picture
from anomedge.parity.blends import Blend, Blending, Runner, spread
from anomedge.parity.crossing import Experience, Search, Window
from anomedge.parity.outputs import Outputs
from anomedge.parity.pictures import EXTREME, LEVEL
from anomedge.progress import track
from anomedge.threshold import Decision

__all__ = ["blends_at_levels"]

_ABOVE, _FAR_ABOVE, _BELOW = 4, 2, 2
"""Levels up to the user's highest score, from there to that of an extreme frame, and below the threshold."""

_RUNS = 2
"""Largest number of runs for a level; the nearest one is kept."""

_Scores = npt.NDArray[np.float64]


class _Level(NamedTuple):
    """A score to meet, and how far from it a blend may be."""

    score: float
    reach: float


def blends_at_levels(
    pictures: Sequence[Picture],
    scores: npt.NDArray[np.floating],
    decision: Decision,
    frame: tuple[int, int],
    run: Runner,
    generator: np.random.Generator,
) -> list[Blend]:
    """Blend pictures so that their scores lie at several levels above and below the threshold.

    Args:
        pictures: the N pictures to blend.
        scores: their scores (N,).
        decision: the decision with the threshold.
        frame: (height, width) in pixels.
        run: maps frames, uint8 (B, H, W, 3), to the outputs of the original.
        generator: draws the levels.

    Returns:
        One blend for each level between the scores of two pictures.
    """
    values = np.array(scores, dtype=np.float64)
    values[~np.isfinite(values)] = np.nan
    extreme = np.array([p.generated == EXTREME for p in pictures])
    levels = list(_levels(values, extreme, decision, generator))
    found = []
    for number, level in enumerate(track(levels, "other levels", len(levels))):
        below = _ends(values < level.score, extreme)
        above = _ends(values > level.score, extreme)
        if not below or not above:
            continue
        normal = below[number % len(below)]
        defect = above[number % len(above)]
        search = _search(values, below, defect, level)
        blending = Blending(
            pictures[normal].frame(frame), pictures[defect].frame(frame), search
        )
        pixels, outputs = _nearest(blending, level, run)
        name = (
            f"{LEVEL}/{pictures[normal].name}+{pictures[defect].name} {number}"
        )
        picture = Picture(name, pixels=pixels, generated=LEVEL)
        found.append(Blend(picture, outputs))
    return found


def _levels(
    scores: _Scores,
    extreme: npt.NDArray[np.bool_],
    decision: Decision,
    generator: np.random.Generator,
) -> Iterator[_Level]:
    """Draw the levels; none within 1 % of the threshold, where other blends are."""
    near, threshold = Window.of(decision).most, decision.threshold
    highest = _highest(scores - threshold)
    own = _highest(scores[~extreme] - threshold)
    lowest = -_highest(threshold - scores)
    if own > near:
        yield from _drawn(threshold, (near, own), _ABOVE, generator)
        yield from _drawn(threshold, (own, highest), _FAR_ABOVE, generator)
    else:
        count = _ABOVE + _FAR_ABOVE
        yield from _drawn(threshold, (near, highest), count, generator)
    yield from _drawn(threshold, (-near, lowest), _BELOW, generator)


def _drawn(
    threshold: float,
    ends: tuple[float, float],
    count: int,
    generator: np.random.Generator,
) -> Iterator[_Level]:
    """Draw a level in each part of a range of distances to the threshold, whose first end is the nearer one.

    >>> ends = (0.0, 16.0)
    >>> levels = [*_drawn(1.0, ends, 4, np.random.default_rng(0))]
    >>> [level.reach for level in levels]
    [0.5, 1.5, 2.5, 3.5]
    """
    first, last = ends
    if abs(last) <= abs(first):
        return
    edges = first + (last - first) * np.linspace(0, 1, count + 1) ** 2
    for one, other in itertools.pairwise(edges.tolist()):
        distance = one + (other - one) * generator.uniform()
        yield _Level(threshold + distance, abs(other - one) / 2)


def _ends(
    side: npt.NDArray[np.bool_], extreme: npt.NDArray[np.bool_]
) -> list[int]:
    """Return the places of one side of a level, spread over all; extreme frames only where there are no others."""
    own = np.flatnonzero(side & ~extreme)
    return spread(own if own.size else np.flatnonzero(side), extreme)


def _search(
    scores: _Scores, below: Sequence[int], defect: int, level: _Level
) -> Search:
    """Return the search of a level as if it were the threshold."""
    window = Window(0.0, level.reach)
    typical = float(np.median(level.score - scores[list(below)]))
    experience = Experience(max(typical, level.reach))
    return Search(
        float(scores[defect] - level.score), window, experience.expected
    )


def _nearest(
    blending: Blending, level: _Level, run: Runner
) -> tuple[Frame, Outputs]:
    """Return the run that came nearest to a level."""
    found: list[tuple[float, Frame, Outputs]] = []
    search = blending.search
    while len(found) < _RUNS and not search.hits and search.goes_on:
        share = search.proposal()
        pixels = blending.pixels(share)
        outputs = run(pixels[None])
        distance = float(outputs.score[0]) - level.score
        search.add(share, distance)
        found.append((abs(distance), pixels, outputs))
    _, pixels, outputs = min(found, key=lambda each: each[0])
    return pixels, outputs


def _highest(values: _Scores) -> float:
    """Return the largest finite value; 0 without any."""
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size else 0.0
