"""Pictures in other sizes, for a bundle that takes pictures of any size.

The graph gets grey levels that were resized outside it, and these tell the size of the picture: halved pixels are
multiples of 1/64. A graph could be right for the sizes that a person gives and wrong for others. So some pictures also run
in the model's size times small integers, one per axis, and in sizes that nobody knows when the bundle is made.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from anomedge.images import Picture, stretch
from anomedge.parity.pictures import EXTREME, SCALED
from anomedge.resample import LARGEST_SIDE, Geometry

__all__ = ["scaled_pictures", "sizes_of"]

_FACTORS = (1, 2, 3, 4)
_DRAWN = 2
"""Number of sizes with two different factors, and of sizes that are no multiples."""
_LEAST, _MOST = 0.5, 4.0
"""Range of the sizes that are no multiples, in those of the model."""
_LARGEST = 1 << 24
"""Most pixels of a picture that is made here."""
_MOST_STATED = 40

_Size = tuple[int, int]


def scaled_pictures(
    pictures: Sequence[Picture],
    scores: npt.NDArray[np.floating],
    threshold: float,
    geometry: Geometry,
    generator: np.random.Generator,
) -> list[Picture]:
    """Resize pictures, by turns one above and one below the threshold; extreme frames only where there are no others.

    Args:
        pictures: the N pictures.
        scores: their scores (N,).
        threshold: of the scores.
        geometry: region and size of the model's image.
        generator: draws sizes and pictures.
    """
    extreme = np.array([p.generated == EXTREME for p in pictures])
    sides = [
        _shuffled(side, extreme, generator)
        for side in (scores > threshold, ~(scores > threshold))
    ]
    turns = itertools.cycle(itertools.cycle(side) for side in sides if side)
    return [
        _scaled(pictures[next(places)], size)
        for size, places in zip(
            _sizes(geometry, generator), turns, strict=False
        )
    ]


def sizes_of(pictures: Sequence[Picture]) -> tuple[str, ...]:
    """Return the different sizes of pictures in words, smallest first, at most forty.

    >>> sizes_of([Picture("a", pixels=np.zeros((2, 3, 3), np.uint8))] * 2)
    ('2x3',)
    """
    sizes = {picture.stated_size() for picture in pictures}
    ordered = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    return tuple(f"{h}x{w}" for h, w in ordered[:_MOST_STATED])


def _shuffled(
    side: npt.NDArray[np.bool_],
    extreme: npt.NDArray[np.bool_],
    generator: np.random.Generator,
) -> list[int]:
    own = np.flatnonzero(side & ~extreme)
    places = own if own.size else np.flatnonzero(side)
    return [int(place) for place in generator.permutation(places)]


def _sizes(
    geometry: Geometry, generator: np.random.Generator
) -> Iterator[_Size]:
    """Yield the sizes of pictures: equal factors twice, for a picture on each side of the threshold, then the others."""
    pairs = [(n, n) for n in _FACTORS for _ in range(2)]
    unequal = [*itertools.permutations(_FACTORS, 2)]
    for place in generator.permutation(len(unequal))[:_DRAWN]:
        pairs.append(unequal[place])
    parts = [_product(geometry.size, pair) for pair in pairs]
    for _ in range(_DRAWN):
        parts.append(_product(geometry.size, generator.uniform(_LEAST, _MOST, 2)))  # fmt: skip
    for part in parts:
        size = _with_region(geometry, part)
        if max(size) <= LARGEST_SIDE and size[0] * size[1] <= _LARGEST:
            yield size


def _product(
    size: _Size, factors: Sequence[float] | npt.NDArray[np.float64]
) -> _Size:
    height, width = (
        max(1, round(side * float(factor)))
        for side, factor in zip(size, factors, strict=True)
    )
    return height, width


def _with_region(geometry: Geometry, part: _Size) -> _Size:
    """Return the size of a picture whose region has a size, or the nearest one."""
    if geometry.region is None:
        return part
    top, left, bottom, right = geometry.region
    height, width = _product(part, (1 / (bottom - top), 1 / (right - left)))
    near = itertools.product(_around(height), _around(width))
    return min(near, key=lambda size: _distance(geometry.part(size), part))


def _around(side: int) -> range:
    return range(max(1, side - 2), side + 3)


def _distance(one: _Size, other: _Size) -> int:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def _scaled(picture: Picture, size: _Size) -> Picture:
    height, width = size
    return Picture(
        f"{SCALED}/{picture.name} to {height}x{width}",
        pixels=stretch(picture.frame(), size),
        generated=SCALED,
    )
