"""The files of a folder that wait to be read, their order, and the files that were read.

A file is settled when it was unchanged for S seconds. Files are read in their order; a settled file waits for those
before it that are not, for another S seconds at most, so that one file that never settles stops no other::

    S = 1 s    0       1                        2
    part1      missed  seen                     settled: read
    part2      seen    settled: waits for part1 read after part1

A listing that misses a file, which the next one has, therefore changes no order. All times are those of looks: a file
that is first seen at the look at which another is settled will be settled before that one is overdue, however long
looks take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from anomedge.station.sources._listing import (
    NaturalKey,
    Stamp,
    natural,
)
from anomedge.station.sources.base import Order

__all__ = ["Arrivals"]


@dataclass
class _Waiting:
    """A file that was not read.

    Attributes:
        stamp: its version.
        since: time of the look that found this version first.
        settled: time of the look that found it settled first.
    """

    stamp: Stamp
    since: float
    settled: float | None = None


class Arrivals:
    """Files that wait, and files that were read. Memory: one entry per file in the folder.

    Args:
        settle: S, in seconds.
        patience: time for which a settled but incomplete file is waited for, in seconds.
        order: by modification time, then name; or by name, with numbers as numbers.
    """

    def __init__(self, settle: float, patience: float, order: Order) -> None:
        self.settle = settle
        self.patience = max(patience, settle)
        self._order = order
        self._waiting: dict[str, _Waiting] = {}
        self._read: dict[str, Stamp] = {}

    def __len__(self) -> int:
        return len(self.known)

    @property
    def waiting(self) -> set[str]:
        """Names of the files that were not read."""
        return set(self._waiting)

    @property
    def known(self) -> set[str]:
        """Names of all files."""
        return self._waiting.keys() | self._read.keys()

    def note(self, name: str, stamp: Stamp, now: float) -> None:
        """Note the version of a file at the time `now`."""
        waiting = self._waiting.get(name)
        if self._read.get(name) == stamp:
            self._waiting.pop(name, None)
        elif waiting is None or waiting.stamp != stamp:
            self._waiting[name] = _Waiting(stamp, now)

    def note_all(self, files: Mapping[str, Stamp], now: float) -> list[str]:
        """Note a listing; return the names of the files that waited and are gone.

        Files that were read are forgotten when they are gone, unless no file at all is left: an unmounted drive looks
        empty, and its files must not count as new when it returns.
        """
        for name, stamp in files.items():
            self.note(name, stamp, now)
        gone = [name for name in self._waiting if name not in files]
        for name in gone:
            del self._waiting[name]
        if files:
            kept = self._read.items()
            self._read = {name: each for name, each in kept if name in files}
        return gone

    def skip(self, files: Mapping[str, Stamp]) -> None:
        """Treat these files as read."""
        self._read.update(files)

    def finish(self, name: str) -> None:
        """Note that a file was read."""
        self._read[name] = self._waiting.pop(name).stamp

    def stamp(self, name: str) -> Stamp:
        """Return the version of a file that waits."""
        return self._waiting[name].stamp

    def is_given_up(self, name: str, now: float) -> bool:
        """Return whether a file that is incomplete was unchanged for `patience` seconds."""
        return now >= self._waiting[name].since + self.patience

    def ready(
        self, now: float, is_complete: Callable[[str], bool]
    ) -> Iterator[str]:
        """Yield the settled and complete files in order, up to the first that others have to wait for."""
        names = sorted(self._waiting, key=self._key)
        last_overdue = -1
        for place, name in enumerate(names):
            if self._note_settled(self._waiting[name], now):
                last_overdue = place
        for place, name in enumerate(names):
            if self._waiting[name].settled is not None and is_complete(name):
                yield name
            elif place >= last_overdue:
                return

    def next_time(self, now: float) -> float | None:
        """Return the next time at which a file may become ready by waiting; None if there is none."""
        times = []
        for each in self._waiting.values():
            settled = each.since if each.settled is None else each.settled
            times += [settled + self.settle, each.since + self.patience]
        return min((time for time in times if time > now), default=None)

    def _note_settled(self, waiting: _Waiting, now: float) -> bool:
        """Note whether a file is settled; return whether it was settled and waited for others for long enough."""
        if waiting.settled is None and now >= waiting.since + self.settle:
            waiting.settled = now
        settled = waiting.settled
        return settled is not None and now >= settled + self.settle

    def _key(self, name: str) -> tuple[int, NaturalKey, str]:
        by_time = self._order is Order.TIME
        mtime = self._waiting[name].stamp.mtime if by_time else 0
        return mtime, natural(name), name
