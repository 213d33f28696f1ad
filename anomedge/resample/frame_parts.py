"""Parts of frames and images: a region of interest, and a grid of overlapping tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from anomedge.errors import InputError

__all__ = ["MOST_TILES", "Region", "Tiling", "whole_pixels"]

MOST_TILES = 256
"""Largest number of tiles of one image; they run as one batch, so memory grows with their number."""

Integers = npt.NDArray[np.int64]


class Region(NamedTuple):
    """A rectangle of a frame; edges are fractions of the frame's sides."""

    top: float
    left: float
    bottom: float
    right: float

    def pixels(self, frame: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return (top, left, bottom, right) in pixels, at least one each way.

        >>> Region(0.25, 0.5, 0.75, 1.0).pixels((8, 4))
        (2, 2, 6, 4)
        """
        height, width = frame
        edges = (self.top, self.left, self.bottom, self.right)
        steps = (height, width, height, width)
        return whole_pixels(
            tuple(edge * n for edge, n in zip(edges, steps, strict=True)), frame
        )

    def check(self) -> None:
        """Check the edges.

        Raises:
            InputError: an edge is no fraction, or the region has no area.
        """
        rows = 0 <= self.top < self.bottom <= 1
        columns = 0 <= self.left < self.right <= 1
        if not (rows and columns):
            raise InputError(
                f"got the region {tuple(self)}; expected top, left, bottom and right as fractions from 0 to 1 of the "
                "frame, in this order"
            )


@dataclass(frozen=True)
class Tiling:
    """Tiles of one size with at least `overlap` pixels in common, in pixels of the image.

    As few tiles as cover the image, evenly spaced; the first begins and the last ends at its border.

    >>> Tiling((4, 4), 1).starts(10, 0).tolist()
    [0, 3, 6]
    """

    # For the manifest and the model file: pydantic refuses other fields.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

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

    def shared(self, image: tuple[int, int]) -> int | None:
        """Return the least number of pixels that neighbouring tiles have in common; None for a single tile.

        >>> Tiling((4, 4), 1).shared((10, 4)), Tiling((4, 4), 0).shared((7, 4))
        (1, 1)
        """
        found = [
            self.tile[axis] - int(step)
            for axis, n in enumerate(image)
            for step in np.diff(self.starts(n, axis))
        ]
        return min(found, default=None)

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


def whole_pixels(
    edges: tuple[float, ...], frame: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Round (top, left, bottom, right) to pixels; keep one pixel each way."""
    top, left = (
        min(round(edge), n - 1)
        for edge, n in zip(edges[:2], frame, strict=True)
    )
    bottom, right = round(edges[2]), round(edges[3])
    return top, left, max(bottom, top + 1), max(right, left + 1)
