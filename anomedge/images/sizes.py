"""Sizes of pictures, from the headers of their files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from anomedge.files import open_plain
from anomedge.images.checks import upright_size
from anomedge.images.picture import Picture
from anomedge.images.reading import FORMATS

__all__ = ["Sizes", "sizes_of"]

_DISTORTION = 1.1
"""Ratio of aspect ratios above which stretching to one size visibly changes shapes."""

Size = tuple[int, int]


@dataclass(frozen=True)
class Sizes:
    """The different sizes (height, width) of some pictures, in pixels, by area; the files of some may be unreadable."""

    all: tuple[Size, ...]

    @property
    def vary(self) -> bool:
        """Whether there is more than one size."""
        return len(self.all) > 1

    def __str__(self) -> str:
        """Return their number, the smallest and the largest."""
        smallest, largest = (f"{h}x{w}" for h, w in (self.all[0], self.all[-1]))
        return f"{len(self.all)} sizes, {smallest} to {largest}"

    @property
    def distortion(self) -> str:
        """The range of aspect ratios, if they differ by more than 10 %; else empty."""
        ratios = [width / height for height, width in self.all]
        if max(ratios) <= _DISTORTION * min(ratios):
            return ""
        return f"width/height from {min(ratios):.2f} to {max(ratios):.2f}"


def sizes_of(pictures: Iterable[Picture]) -> Sizes:
    """Return the sizes of the pictures that have a file; nothing is decoded, and unreadable files are left out."""
    paths = [picture.path for picture in pictures if picture.path is not None]
    found = {_size_of(path) for path in paths} - {None}
    known = [size for size in found if size is not None]
    return Sizes(
        tuple(sorted(known, key=lambda size: (size[0] * size[1], size)))
    )


def _size_of(path: Path) -> Size | None:
    try:
        with (
            open_plain(path) as file,
            Image.open(file, formats=FORMATS) as image,
        ):
            return upright_size(image)
    except Exception:  # noqa: BLE001 - the reader of the picture reports it
        return None
