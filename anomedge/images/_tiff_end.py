"""Where a TIFF file must end: the farthest byte that its directories point to.

A directory is a list of entries: tag, type of the values, number of values, and the values or their place in the file.
Strips and tiles are lists of places and of sizes. Classic TIFF has places of 32 bits, BigTIFF of 64.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

__all__ = ["end_of_tiff"]

_MOST_DIRECTORIES = 100
_SIZES = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8,
}  # fmt: skip
"""Bytes of a value, by its type."""
_INTEGERS = {3: "H", 4: "I", 16: "Q"}
"""Types of places and sizes, in the letters of `struct`."""
_PIXELS = ((273, 279), (324, 325))
"""Tags of the places and of the sizes: of strips, and of tiles."""
_PIXEL_TAGS = frozenset({273, 279, 324, 325})


class _Outside(Exception):
    """Data end beyond the end of the file, and may be needed to find further data."""

    def __init__(self, end: int) -> None:
        super().__init__(end)
        self.end = end


class _Entry(NamedTuple):
    """An entry of a directory; its values stand at `place`."""

    tag: int
    kind: int
    values: int
    place: int

    @property
    def end(self) -> int:
        return self.place + self.values * _SIZES.get(self.kind, 0)


@dataclass(frozen=True)
class _Tiff:
    """An open file: byte order, and the letters of `struct` of a place and of the number of entries."""

    file: BinaryIO
    size: int
    order: str
    place: str
    count: str

    def length(self, letters: str) -> int:
        """Return the bytes of these letters."""
        return struct.calcsize(self.order + letters)

    def read(self, place: int, letters: str) -> tuple[int, ...]:
        """Read integers at a place; raise `_Outside` if the file ends before their end."""
        length = self.length(letters)
        if place + length > self.size:
            raise _Outside(place + length)
        self.file.seek(place)
        content = self.file.read(length)
        return struct.unpack(self.order + letters, content)


def end_of_tiff(file: BinaryIO, size: int) -> int:
    """Return a byte that a complete file reaches at least; beyond `size` if the file is cut."""
    file.seek(0)
    head = file.read(4)
    order = "<" if head[:2] == b"II" else ">"
    big = b"+" in head
    place_letter, count_letter = ("Q", "Q") if big else ("I", "H")
    tiff = _Tiff(file, size, order, place_letter, count_letter)
    end, seen = 0, set[int]()
    try:
        (place,) = tiff.read(8 if big else 4, place_letter)
        while place and place not in seen and len(seen) < _MOST_DIRECTORIES:
            seen.add(place)
            data, place = _directory(tiff, place)
            end = max(end, data)
    except _Outside as outside:
        return outside.end
    return end


def _directory(tiff: _Tiff, place: int) -> tuple[int, int]:
    """Return the end of a directory and its data, and the place of the next directory, 0 for none."""
    (count,) = tiff.read(place, tiff.count)
    first = place + tiff.length(tiff.count)
    after = first + count * tiff.length("HH" + 2 * tiff.place)
    (following,) = tiff.read(after, tiff.place)
    ends, lists = [after + tiff.length(tiff.place)], {}
    for entry in _entries(tiff, first, count):
        if entry.end > tiff.size:
            raise _Outside(entry.end)
        ends.append(entry.end)
        if entry.tag in _PIXEL_TAGS and entry.kind in _INTEGERS:
            letters = f"{entry.values}{_INTEGERS[entry.kind]}"
            lists[entry.tag] = tiff.read(entry.place, letters)
    for places, sizes in _PIXELS:
        pairs = zip(lists.get(places, ()), lists.get(sizes, ()), strict=False)
        ends += [start + length for start, length in pairs]
    return max(ends), following


def _entries(tiff: _Tiff, first: int, count: int) -> Iterator[_Entry]:
    """Yield the entries; values that fit into a place stand in the entry itself."""
    own = tiff.length(tiff.place)
    head = tiff.length("HH" + tiff.place)
    for number in range(count):
        place = first + number * (head + own)
        tag, kind, values = tiff.read(place, "HH" + tiff.place)
        entry = _Entry(tag, kind, values, place + head)
        if entry.end > place + head + own:
            (where,) = tiff.read(place + head, tiff.place)
            entry = entry._replace(place=where)
        yield entry
