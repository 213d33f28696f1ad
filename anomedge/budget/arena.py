"""What ONNX Runtime's arena takes from the system for a sequence of values, as it behaves by default.

The arena grows by regions, each twice the last or the power of two that holds the value; a value goes into the smallest
free chunk that holds it, whose rest is split off where it is worth it; neighbours in a region merge when they are free;
no region is given back. From the second run on, values lie in one block, at offsets planned from the first run.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Arena", "planned"]

_GRAIN = 256
_FIRST_REGION = 1 << 20
_LARGEST_REGION = 1 << 30
_WASTE = 128 << 20
"""A chunk's rest above this is split off, even when it is smaller than the value."""

Chunk = tuple[int, int]
"""Address and size."""


class Arena:
    """Memory by address. Only what was written to counts, because a system gives no page before that.

    Example:
        >>> arena = Arena()
        >>> first = arena.take(3 << 20)
        >>> arena.give(first)
        >>> second = arena.take(2 << 20)  # lies where the first was
        >>> arena.touched >> 20
        3
    """

    def __init__(self) -> None:
        self._free: list[Chunk] = []
        self._written: list[Chunk] = []
        self._regions: list[Chunk] = []
        self._next_region = _FIRST_REGION
        self._end = 0

    @property
    def touched(self) -> int:
        """Bytes ever written to."""
        return sum(written for _, written in self.regions)

    @property
    def regions(self) -> list[tuple[int, int]]:
        """Of each region, in the order they were taken, its size and how many of its bytes were ever written to."""
        return [
            (size, self._written_in(start, start + size))
            for start, size in self._regions
        ]

    def _written_in(self, start: int, end: int) -> int:
        total, reached = 0, start
        for first, size in sorted(self._written):
            if start <= first < end:
                total += max(0, first + size - max(first, reached))
                reached = max(reached, first + size)
        return total

    def take(self, size: int) -> Chunk:
        """Room for a value; give it back as it is."""
        needed = _rounded(size)
        fitting = [chunk for chunk in self._free if chunk[1] >= needed]
        start, room = (
            min(fitting, key=lambda chunk: (chunk[1], chunk[0]))
            if fitting
            else self._region(needed)
        )
        self._free.remove((start, room))
        if room >= 2 * needed or room - size >= _WASTE:
            self._free.append((start + needed, room - needed))
            room = needed
        self._written.append((start, size))
        return start, room

    def give(self, chunk: Chunk) -> None:
        """Take back what `take` gave, together with free neighbours."""
        start, size = chunk
        for other in list(self._free):
            if other[0] + other[1] == start or start + size == other[0]:
                self._free.remove(other)
                start, size = min(start, other[0]), size + other[1]
        self._free.append((start, size))

    def _region(self, needed: int) -> Chunk:
        """One more region; a gap keeps it apart from the one before."""
        grown = False
        while self._next_region < needed:
            self._next_region *= 2
            grown = True
        size = (
            self._next_region
            if self._next_region <= _LARGEST_REGION
            else needed
        )
        if not grown:
            self._next_region *= 2
        region = self._end + _GRAIN, size
        self._end = sum(region)
        self._free.append(region)
        self._regions.append(region)
        return region


def planned(values: Sequence[tuple[int, int, int]]) -> int:
    """Size of one block for values (made, last, bytes): each goes into the smallest gap between those alive.

    >>> planned([(0, 1, 1024), (1, 2, 512), (2, 3, 1024)])
    1536
    """
    size = 0
    alive: list[tuple[int, int, int]] = []  # offset, bytes, last
    for made, last, count in sorted(values, key=lambda value: value[0]):
        alive = [value for value in alive if value[2] >= made]
        offset = _best_gap(alive, _rounded(count), size)
        alive = sorted([*alive, (offset, _rounded(count), last)])
        size = max(size, offset + _rounded(count))
    return size


def _best_gap(
    alive: Sequence[tuple[int, int, int]], needed: int, size: int
) -> int:
    end, gaps = 0, []
    for offset, length, _ in alive:
        if offset - end >= needed:
            gaps.append((offset - end, end))
        end = max(end, offset + length)
    if size - end >= needed:
        gaps.append((size - end, end))
    return min(gaps)[1] if gaps else end


def _rounded(size: int) -> int:
    return max(_GRAIN, -(-size // _GRAIN) * _GRAIN)
