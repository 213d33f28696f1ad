"""Pixel formats of raw frames, and their conversion to RGB frames.

Formats of 8 bits a channel need no choice: grey is repeated to three channels, a Bayer mosaic is interpolated (see
`_bayer`). Formats with more bits follow the rule of pictures: the bundle's levels map them to 8 bits, after
demosaicing; without levels they are refused, and with levels 8 bits are. Their values are 16-bit words, little-endian
if the name does not end in `be`, with the stated number of bits at the lower end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anomedge.errors import InputError
from anomedge.images import Frame
from anomedge.resample import LARGEST_PIXELS, LARGEST_SIDE
from anomedge.resample.levels import Levels, suggested_levels
from anomedge.station.sources._bayer import PATTERNS, demosaic

__all__ = ["PIXEL_FORMATS", "PixelFormat", "RawFormat"]


@dataclass(frozen=True)
class PixelFormat:
    """A pixel format.

    Attributes:
        name: name in addresses.
        order: "rgb", "bgr", "grey", or the pattern of a Bayer mosaic.
        bits: bits of a channel.
        big_endian: the order of the bytes of a word.
    """

    name: str
    order: str
    bits: int = 8
    big_endian: bool = False

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of one value."""
        if self.bits == 8:
            return np.dtype(np.uint8)
        return np.dtype(">u2" if self.big_endian else "<u2")

    @property
    def values_per_pixel(self) -> int:
        """Number of values of one pixel."""
        return 3 if self.order in ("rgb", "bgr") else 1


def _all_formats() -> list[PixelFormat]:
    found = [PixelFormat(name, name) for name in ("rgb", "bgr", "grey")]
    found += [PixelFormat(f"bayer_{order}", order) for order in PATTERNS]
    for bits in (10, 12, 14, 16):
        found.append(PixelFormat(f"mono{bits}", "grey", bits))
        for order in PATTERNS:
            found.append(PixelFormat(f"bayer_{order}{bits}", order, bits))
    found.append(PixelFormat("mono16be", "grey", 16, big_endian=True))
    return found


PIXEL_FORMATS = {each.name: each for each in _all_formats()}
"""All pixel formats by name."""


@dataclass(frozen=True)
class RawFormat:
    """Layout of a raw frame in memory, and its conversion.

    Args:
        width: in pixels.
        height: in pixels.
        pixels: pixel format.
        levels: the bundle's, for a format of more than 8 bits; None for 8 bits.
        row_alignment: rows are padded to a multiple of this number of bytes.

    Raises:
        InputError: a side of 0 or too large, or levels that do not suit the depth.
    """

    width: int
    height: int
    pixels: PixelFormat
    levels: Levels | None = None
    row_alignment: int = 1

    def __post_init__(self) -> None:
        sides = (self.width, self.height)
        least = 2 if self.pixels.order in PATTERNS else 1
        too_many = self.width * self.height > LARGEST_PIXELS
        if min(sides) < least or max(sides) > LARGEST_SIDE or too_many:
            raise InputError(
                f"got raw frames of {self.width}x{self.height}; expected sides from {least} to {LARGEST_SIDE} and at most "
                f"{LARGEST_PIXELS:,} pixels"
            )
        _check_levels(self.pixels, self.levels)

    @property
    def row_size(self) -> int:
        """Size of a row in bytes, padding included."""
        each = self.pixels.values_per_pixel * self.pixels.dtype.itemsize
        return -(-self.width * each // self.row_alignment) * self.row_alignment

    @property
    def size(self) -> int:
        """Size of a frame in bytes."""
        return self.row_size * self.height

    def __str__(self) -> str:
        return f"{self.width}x{self.height} {self.pixels.name}"

    def decode(self, content: npt.NDArray[np.uint8]) -> Frame:
        """Return a frame, uint8 (H, W, 3), from its `size` bytes; it may share their memory.

        Raises:
            InputError: a value has more bits than the format states.
        """
        values = self._values(content)
        order = self.pixels.order
        if order in PATTERNS:
            values = demosaic(values, order)
        if self.levels is not None:
            values = self.levels.apply(values)
        if order == "grey":
            return _repeated(values)
        if order == "bgr":
            values = values[..., ::-1]
        return np.ascontiguousarray(values)

    def _values(self, content: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Return the values (H, W) or (H, W, 3), without padding, in the byte order of this machine."""
        pixels = self.pixels
        row = self.width * pixels.values_per_pixel * pixels.dtype.itemsize
        rows = content.reshape(self.height, self.row_size)[:, :row]
        values = np.ascontiguousarray(rows).view(pixels.dtype)
        if pixels.bits > 8:
            values = values.astype(np.uint16)
            _check_bits(values, pixels)
        if pixels.values_per_pixel == 3:
            return values.reshape(self.height, self.width, 3)
        return values


def _repeated(grey: npt.NDArray[np.uint8]) -> Frame:
    """Return grey values in three channels; np.repeat takes three times as long."""
    frame: Frame = np.empty((*grey.shape, 3), np.uint8)
    for channel in range(3):
        frame[..., channel] = grey
    return frame


def _check_levels(pixels: PixelFormat, levels: Levels | None) -> None:
    if pixels.bits > 8 and levels is None:
        advice = suggested_levels((1 << pixels.bits) - 1)
        raise InputError(
            f"got {pixels.name} and a bundle without levels; expected 8 bits a channel: fit with --levels LOW HIGH, "
            f"such as --levels {advice.low} {advice.high}, or convert the frames before"
        )
    if pixels.bits == 8 and levels is not None:
        raise InputError(
            f"got {pixels.name}, 8 bits a channel; expected more, such as mono12, which the bundle's levels {levels.low} to "
            f"{levels.high} are for"
        )


def _check_bits(values: npt.NDArray[np.uint16], pixels: PixelFormat) -> None:
    largest = int(values.max())
    if largest >> pixels.bits:
        raise InputError(
            f"got the value {largest}; expected at most {(1 << pixels.bits) - 1} of {pixels.name}: check the format of the "
            f"camera; bits at the upper end of a word are those of a 16-bit format"
        )
