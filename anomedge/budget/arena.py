"""Model of ONNX Runtime's CPU arena with its default settings.

The arena grows by regions. A region is twice as large as the last one, or the
power of two that holds the value. A value takes the smallest free chunk that
holds it; the rest of the chunk is split off if it is large enough. Adjacent
free chunks of a region are merged; no region is returned to the system. From
the second run on, values share one block, at offsets planned in the first run.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Arena", "planned"]

_GRAIN = 256
_FIRST_REGION = 1 << 20
_LARGEST_REGION = 1 << 30
_WASTE = 128 << 20
"""Bytes of a rest that is split off even if it is smaller than the value."""

Chunk = tuple[int, int]
"""Address and size, in bytes."""


class Arena:
    """Addresses of values in regions.

    Only written bytes count, because the system maps a page at the first write.

    Example:
        >>> arena = Arena()
        >>> first = arena.take(3 << 20)
        >>> arena.give(first)
        >>> second = arena.take(2 << 20)  # at the address of the first
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
        """Number of bytes that were ever written."""
        return sum(written for _, written in self.regions)

    @property
    def regions(self) -> list[tuple[int, int]]:
        """Size and number of written bytes of each region, oldest first."""
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
        """Allocate a chunk for a value; pass it to `give` to free it."""
        needed = _rounded(size)
        fitting = [chunk for chunk in self._free if chunk[1] >= needed]
        if fitting:
            start, room = min(fitting, key=lambda chunk: (chunk[1], chunk[0]))
        else:
            start, room = self._region(needed)
        self._free.remove((start, room))
        if room >= 2 * needed or room - size >= _WASTE:
            self._free.append((start + needed, room - needed))
            room = needed
        self._written.append((start, size))
        return start, room

    def give(self, chunk: Chunk) -> None:
        """Free a chunk from `take` and merge it with free neighbours."""
        start, size = chunk
        for other in list(self._free):
            if other[0] + other[1] == start or start + size == other[0]:
                self._free.remove(other)
                start, size = min(start, other[0]), size + other[1]
        self._free.append((start, size))

    def _region(self, needed: int) -> Chunk:
        """Add a region; a gap keeps its chunks from merging with others."""
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
    """Plan one block for values (producer, last reader, bytes).

    Each value takes the smallest gap between the live values. Return the size
    of the block.

    >>> planned([(0, 1, 1024), (1, 2, 512), (2, 3, 1024)])
    1536
    """
    size = 0
    alive: list[tuple[int, int, int]] = []  # offset, bytes, last
    for producer, last, count in sorted(values, key=lambda value: value[0]):
        alive = [value for value in alive if value[2] >= producer]
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
