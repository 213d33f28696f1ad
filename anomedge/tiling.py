"""Grid of overlapping tiles that covers an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomedge.errors import InputError

__all__ = ["MOST_TILES", "Tiling"]

MOST_TILES = 256
"""Largest number of tiles of one image; they run as one batch, so memory grows with their number."""

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tiling:
    """Tiles of one size with at least `overlap` pixels in common, in pixels of the image.

    As few tiles as cover the image, evenly spaced; the first begins and the last ends at its border.

    >>> Tiling((4, 4), 1).starts(10, 0).tolist()
    [0, 3, 6]
    """

    tile: tuple[int, int]
    overlap: int

    def __post_init__(self) -> None:
        """Check the sizes; raise InputError."""
        if not 0 <= self.overlap < min(self.tile):
            raise InputError(
                f"got tiles of {self.tile} with an overlap of {self.overlap}; expected an overlap from 0 to "
                f"{min(self.tile) - 1}: give a smaller --overlap or larger tiles"
            )

    def check(self, image: tuple[int, int]) -> None:
        """Check that an image can be tiled.

        Raises:
            InputError: a tile is larger than the image, or there are more than `MOST_TILES` tiles.
        """
        shown = f"{self.tile[0]}x{self.tile[1]}"
        if self.tile[0] > image[0] or self.tile[1] > image[1]:
            raise InputError(
                f"got tiles of {shown} for an image of {image[0]}x{image[1]}; expected tiles within it: "
                "enlarge --size, or leave out --tile"
            )
        rows, columns = self.grid(image)
        if rows * columns > MOST_TILES:
            raise InputError(
                f"got {rows * columns} tiles of {shown} for an image of {image[0]}x{image[1]}; expected at most "
                f"{MOST_TILES}, because they run as one batch: give larger tiles or a smaller --size"
            )

    def grid(self, image: tuple[int, int]) -> tuple[int, int]:
        """Return the number of tiles down and across an image (height, width)."""
        return self._count(image[0], 0), self._count(image[1], 1)

    def starts(self, n: int, axis: int) -> Integers:
        """Return the first pixel of each tile along an axis of n pixels."""
        count = self._count(n, axis)
        positions = np.linspace(0, n - self.tile[axis], count)
        return positions.round().astype(np.int64)

    def chosen(self, n: int, axis: int) -> Integers:
        """Return the place of each pixel in the concatenated tiles of an axis, (n,).

        Each pixel is taken from the tile whose middle is nearest, the first of two.

        >>> Tiling((4, 4), 2).chosen(6, 0).tolist()
        [0, 1, 2, 5, 6, 7]
        """
        starts, size = self.starts(n, axis), self.tile[axis]
        pixels = np.arange(n)
        middles = starts + (size - 1) / 2
        owner = np.abs(pixels[:, None] - middles).argmin(axis=1)
        return np.asarray(owner * size + pixels - starts[owner])

    def _count(self, n: int, axis: int) -> int:
        step = self.tile[axis] - self.overlap
        return max(1, -(-(n - self.overlap) // step))
