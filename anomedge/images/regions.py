"""Region of interest: a rectangle of the pictures, or the white part of a mask picture.

Fractions of a picture's sides hold for pictures of any size. Pixels hold for pictures of one size, so they are converted
to fractions once that size is known.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from anomedge.errors import InputError
from anomedge.images.picture import Picture
from anomedge.images.reading import Mask, read_picture
from anomedge.resample import Geometry, Region

__all__ = ["PixelRectangle", "RegionOfInterest", "parse_region", "place_region"]

_LEAST_SIDE = 8
"""Smallest side of a rectangle in pixels; smaller ones are fractions without a decimal point."""
_NEARLY = 64
"""Distance in grey levels within which a pixel counts as black or white, for soft edges and JPEG."""
_LEAST_EXTREME = 0.9
"""Smallest share of black and white pixels of a mask."""

_NUMBER = r"\s*(\d{1,6}(?:\.\d{1,9})?)\s*"
_RECTANGLE = re.compile(",".join([_NUMBER] * 4))
_FORM = "x,y,w,h in pixels, such as 100,50,640,480, or in fractions, such as 0.1,0.2,0.5,0.5, or a mask picture"


class PixelRectangle(NamedTuple):
    """A rectangle in pixels of the pictures: left and upper edge, width and height."""

    x: int
    y: int
    width: int
    height: int


RegionOfInterest = Region | PixelRectangle | Path
"""Fractions, pixels, or the file of a mask picture, white within the region."""


class PlacedRegion(NamedTuple):
    """A region in the model's terms.

    Attributes:
        geometry: with the region's bounding rectangle.
        inside: mask of the region (H, W) on the grid of the anomaly map; None for a rectangle.
    """

    geometry: Geometry
    inside: Mask | None


def parse_region(text: str) -> RegionOfInterest:
    """Parse "x,y,w,h" or the path of a mask picture; numbers with a decimal point are fractions of the sides.

    >>> parse_region("0.1,0.2,0.5,0.5")
    Region(top=0.2, left=0.1, bottom=0.7, right=0.6)
    >>> parse_region("100,50,640,480")
    PixelRectangle(x=100, y=50, width=640, height=480)

    Raises:
        InputError: neither a rectangle nor a file, or a rectangle of no area or beyond the picture.
    """
    match = _RECTANGLE.fullmatch(text)
    if match is None:
        path = Path(text)
        if not path.is_file():
            raise InputError(f"got region {text!r}; expected {_FORM}")
        return path
    x, y, width, height = map(float, match.groups())
    if not width or not height:
        raise InputError(
            f"got region {text!r} without an area; expected {_FORM}"
        )
    if "." not in text:
        if min(width, height) < _LEAST_SIDE:
            raise InputError(
                f"got a region of {width:g} x {height:g} pixels; expected at least {_LEAST_SIDE} each way: write fractions "
                "with a decimal point, such as 0,0,1.0,1.0"
            )
        return PixelRectangle(*map(int, (x, y, width, height)))
    right, bottom = round(x + width, 9), round(y + height, 9)
    if right > 1 or bottom > 1:
        raise InputError(
            f"got region {text!r}, which ends at {right:g},{bottom:g}; expected fractions of a picture, up to 1: "
            "leave out the decimal points to give pixels"
        )
    return Region(y, x, bottom, right)


def place_region(
    geometry: Geometry,
    region: RegionOfInterest,
    pictures: Sequence[Picture],
) -> PlacedRegion:
    """Return the geometry with the region, and the mask of a region of another shape on the map's grid.

    Only headers of picture files are read.

    Args:
        geometry: how pictures become images.
        region: the region of interest.
        pictures: all pictures of the fit; a region in pixels needs them in one size.

    Raises:
        InputError: pictures of several sizes for a region in pixels, a rectangle beyond them, a mask of another size, or
            a mask without a white pixel.
    """
    if isinstance(region, Region):
        return PlacedRegion(replace(geometry, region=region), None)
    if isinstance(region, PixelRectangle):
        size = _common_size(pictures, "a rectangle in pixels")
        return PlacedRegion(
            replace(geometry, region=_fractions(region, size)), None
        )
    mask = _region_drawn(region, pictures)
    size = _common_size(pictures, "a mask picture")
    if mask.shape != size:
        raise InputError(
            f"{region}: got a mask of {_shown(mask.shape)}; expected {_shown(size)}, the size of the pictures: "
            "draw it over one of them"
        )
    return _placed_mask(geometry, mask, region)


def _region_drawn(path: Path, pictures: Sequence[Picture]) -> Mask:
    """Read a region; refuse a picture with other colours than black and white, and one of the pictures of the fit."""
    if any(
        picture.path is not None and picture.path.samefile(path)
        for picture in pictures
    ):
        raise InputError(
            f"{path} lies among the pictures of the fit; expected the region's mask elsewhere: move it to another folder"
        )
    drawn = read_picture(path)
    extreme = (drawn < _NEARLY) | (drawn > 255 - _NEARLY)
    is_grey = (drawn == drawn[..., :1]).all()
    if not is_grey or extreme.mean() < _LEAST_EXTREME:
        raise InputError(
            f"{path}: got a picture with other colours than black and white; expected the region in white, the rest in "
            "black"
        )
    return np.asarray(drawn[..., 0] > 127)


def _placed_mask(geometry: Geometry, mask: Mask, path: Path) -> PlacedRegion:
    if not mask.any():
        raise InputError(
            f"{path}: got a mask without a white pixel; expected the region in white, the rest in black"
        )
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    bounds = PixelRectangle(
        int(columns[0]),
        int(rows[0]),
        int(columns[-1] - columns[0] + 1),
        int(rows[-1] - rows[0] + 1),
    )
    height, width = mask.shape
    placed = replace(geometry, region=_fractions(bounds, (height, width)))
    if mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all():
        return PlacedRegion(placed, None)
    down, across = placed.matrices((height, width))
    inside = np.asarray(down @ mask.astype(np.float64) @ across.T > 0.5)
    if not inside.any():
        raise InputError(
            f"{path}: got a region that covers no pixel of the image of {_shown(geometry.image)}; expected a larger one: "
            "enlarge --size or the region"
        )
    return PlacedRegion(placed, inside)


def _fractions(rectangle: PixelRectangle, size: tuple[int, int]) -> Region:
    height, width = size
    x, y, w, h = rectangle
    if x + w > width or y + h > height:
        raise InputError(
            f"got the region {x},{y},{w},{h}; expected it within the pictures of {width} x {height} pixels (width x height)"
        )
    return Region(y / height, x / width, (y + h) / height, (x + w) / width)


def _common_size(pictures: Sequence[Picture], kind: str) -> tuple[int, int]:
    """Return the one size of all pictures."""
    first = pictures[0].stated_size()
    for picture in pictures:
        size = picture.stated_size()
        if size != first:
            raise InputError(
                f"got {kind} and pictures of several sizes ({pictures[0].name} has {_shown(first)}, {picture.name} "
                f"{_shown(size)}); expected one size: give the region in fractions, such as 0.1,0.2,0.5,0.5"
            )
    return first


def _shown(size: Sequence[int]) -> str:
    return "x".join(map(str, size))
