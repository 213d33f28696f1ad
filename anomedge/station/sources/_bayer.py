"""Demosaicing: RGB from the mosaic of a colour camera's sensor, by bilinear interpolation.

A pattern names the colours of the sensor's first 2x2 pixels, row by row: RGGB is R G in the first row, G B in the
second. With v the values and N(p) the 3x3 neighbourhood of pixel p, the value of colour c at p is::

    v(p)                                          if c is the colour of p
    round(mean of v over the pixels of N(p) whose colour is c)    otherwise

Halves are rounded up. The mosaic is continued at its border by reflection without repeating the border, which keeps the
pattern. Inside the border this is OpenCV's `COLOR_Bayer*2RGB`, value for value.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["PATTERNS", "demosaic"]

PATTERNS = ("rggb", "bggr", "grbg", "gbrg")
"""Colours of the first 2x2 pixels, row by row."""

Values = npt.NDArray[Any]


def demosaic(mosaic: Values, pattern: str) -> Values:
    """Return RGB (H, W, 3) of a mosaic (H, W), uint8 or uint16, both sides at least 2.

    >>> demosaic(np.array([[9, 4], [2, 7]], np.uint8), "rggb")[1, 1].tolist()
    [9, 3, 7]
    """
    wide = np.uint16 if mosaic.dtype == np.uint8 else np.uint32
    padded = np.pad(mosaic, 1, mode="reflect").astype(wide)
    rgb = np.empty((*mosaic.shape, 3), mosaic.dtype)
    for place, own in enumerate(pattern):
        row, column = divmod(place, 2)
        sites = _Sites(padded, row, column)
        found = rgb[row::2, column::2]
        beside = pattern[2 * row + 1 - column]
        above = pattern[2 * (1 - row) + column]
        found[..., _channel(own)] = sites.shifted(0, 0)
        if own == "g":
            found[..., _channel(beside)] = sites.mean_of_two(0, 1)
            found[..., _channel(above)] = sites.mean_of_two(1, 0)
        else:
            opposite = pattern[2 * (1 - row) + 1 - column]
            found[..., _channel("g")] = sites.mean_of_cross()
            found[..., _channel(opposite)] = sites.mean_of_diagonals()
    return rgb


def _channel(colour: str) -> int:
    return "rgb".index(colour)


class _Sites(NamedTuple):
    """The pixels of one place of the pattern: every second row from `row`, every second column from `column`."""

    padded: Values
    row: int
    column: int

    def shifted(self, down: int, right: int) -> Values:
        """Return the neighbours at an offset."""
        height, width = self.padded.shape
        rows = slice(self.row + 1 + down, height - 1 + down, 2)
        columns = slice(self.column + 1 + right, width - 1 + right, 2)
        return self.padded[rows, columns]

    def mean_of_two(self, down: int, right: int) -> Values:
        """Return the rounded mean of the neighbours at an offset and opposite to it."""
        total = self.shifted(down, right) + self.shifted(-down, -right)
        return (total + 1) >> 1

    def mean_of_cross(self) -> Values:
        """Return the rounded mean of the neighbours above, below, left and right."""
        total = self.shifted(-1, 0) + self.shifted(1, 0)
        total += self.shifted(0, -1)
        total += self.shifted(0, 1)
        return (total + 2) >> 2

    def mean_of_diagonals(self) -> Values:
        """Return the rounded mean of the four diagonal neighbours."""
        total = self.shifted(-1, -1) + self.shifted(-1, 1)
        total += self.shifted(1, -1)
        total += self.shifted(1, 1)
        return (total + 2) >> 2
