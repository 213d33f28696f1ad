"""Find pictures that are like an earlier one: copies of one picture with a few pixels changed are weak evidence."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Likeness", "spaced_pixels"]

_SIDE = 128
_SAME_LEVEL = 2
_CHANGED = 0.01
"""Two pictures are alike if less than this share of their values differ by more than two grey levels."""
_MOST_COMPARED = 32
"""Each picture is compared with so many others; it bounds time and memory, and larger counts need not be exact."""

Grid = npt.NDArray[np.float32]


class Likeness:
    """The pictures that were seen.

    >>> black, white = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    >>> seen = Likeness()
    >>> [seen.is_repeated("0", black), seen.is_repeated("1", white), seen.is_repeated("2", black + 1)]
    [False, False, True]
    """

    def __init__(self) -> None:
        self._digests: set[str] = set()
        self._grids: list[Grid] = []

    def is_repeated(self, sha256: str, pixels: npt.NDArray[Any]) -> bool:
        """Return whether a picture is equal to an earlier one, or nearly so; remember it.

        Args:
            sha256: digest of the pixels.
            pixels: grey levels (H, W, 3).
        """
        if sha256 in self._digests:
            return True
        self._digests.add(sha256)
        grid = spaced_pixels(pixels)
        if any(_are_alike(grid, other) for other in self._grids):
            return True
        if len(self._grids) < _MOST_COMPARED:
            self._grids.append(grid)
        return False


def spaced_pixels(pixels: npt.NDArray[Any]) -> Grid:
    """Return evenly spaced pixels, at most 128 a side."""
    rows, columns = (-(-side // _SIDE) for side in pixels.shape[:2])
    return pixels[::rows, ::columns].astype(np.float32)


def _are_alike(one: Grid, other: Grid) -> bool:
    if one.shape != other.shape:
        return False
    changed = np.abs(one - other) > _SAME_LEVEL
    return bool(changed.mean() < _CHANGED)
