"""Sizes of pictures, from the headers of their files."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from anomedge.errors import InputError
from anomedge.images.checks import Size
from anomedge.images.picture import Picture

__all__ = ["Sizes", "sizes_of"]

_DISTORTION = 1.1
"""Ratio of aspect ratios above which stretching to one size visibly changes shapes."""


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
    found = set()
    for picture in pictures:
        # The reader of the picture reports a file that cannot be read.
        with suppress(InputError):
            if picture.in_file:
                found.add(picture.stated_size())
    return Sizes(
        tuple(sorted(found, key=lambda size: (size[0] * size[1], size)))
    )
