"""Source of the pictures in a folder: those present at the start, then those that arrive."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Generator, Iterator
from pathlib import Path
from time import monotonic

from anomedge.errors import InputError
from anomedge.images import read_picture
from anomedge.images.complete import missing_part
from anomedge.resample.levels import Levels
from anomedge.station.sources._addresses import is_live
from anomedge.station.sources._arrivals import Arrivals
from anomedge.station.sources._ignored import Ignored
from anomedge.station.sources._listing import (
    FolderListing,
    Place,
    Stamp,
    identity_of,
    is_picture,
    list_folder,
    opened_folder,
    stamp_of,
    stamps_in,
)
from anomedge.station.sources._memory import Memory
from anomedge.station.sources._notify import FolderWatch
from anomedge.station.sources.base import (
    CapturedFrame,
    ConnectionChange,
    Order,
    Source,
    SourceEvent,
    SourceNotice,
    SourceOptions,
    UnusableFrame,
)

__all__ = ["FolderSource"]

_POLL = 0.5
"""Interval between listings, in seconds."""
_NOTIFIED_PAUSE = 10
"""Pause between listings while notifications come, in times of a listing."""
_PATIENCE = 10.0
"""Time for which an incomplete file is waited for after its last change, in seconds."""


class FolderSource(Source):
    """The pictures directly in a folder: those present at the start, then those that arrive.

    - The folder is listed every `poll` seconds, or less often if a listing takes longer. With `notify`, notifications of
      the system make it look sooner where there are any.
    - A file is read once its size and modification time were unchanged for `settle` seconds, and it is complete
      (`anomedge.images.complete`); files are read in `order` (`_arrivals`). A file that stays incomplete is unusable after
      10 s. With `settle` 0, files appear by a rename: they are read at first sight, without these checks.
    - A file is read again only if its size or modification time changed.
    - Skipped are hidden names and "~...", and, counted in `ignored`, other suffixes, folders and links, but for the folder itself.
    - Pictures that were gone, or changed again, before they could be read are counted in `missed`.
    - An empty listing discards no file that was read, because an unmounted network drive looks empty.
    - A folder that cannot be listed is waited for; loss and return are reported. One missing at the start has new pictures.

    Args:
        folder: a folder; it may appear later.
        poll: interval between listings, in seconds.
        only_new: skip the pictures that are present at the start.
        once: end after the pictures that are present at the start.
        levels: of pictures with more than 8 bits per channel; None for pictures of 8 bits.
        order: order of the pictures: by modification time, then name; or by name.
        settle: in seconds; None for `poll`.
        notify: use notifications of the system.

    Raises:
        InputError: the folder does not exist and `once` is given, it is a file, or `once` and `only_new` are both given.
    """

    name = "folder"
    takes = frozenset({"once", "new", "levels", "order", "settle"})
    address_help = "a folder"

    def __init__(
        self,
        folder: Path,
        *,
        poll: float = _POLL,
        only_new: bool = False,
        once: bool = False,
        levels: Levels | None = None,
        order: Order = Order.TIME,
        settle: float | None = None,
        notify: bool = False,
    ) -> None:
        if not folder.is_dir() and (once or folder.exists()):
            raise InputError(
                f"got {folder}; expected a folder of pictures: check the path"
            )
        if once and only_new:
            raise InputError(
                "got --once with --new; expected one of them: together they inspect nothing"
            )
        self.folder: Path = folder.absolute()
        self.title = str(folder)
        self.poll = poll
        self._only_new = only_new
        self._memory = Memory()
        self._once = once
        self._levels = levels
        self._notify = notify
        self._watch: FolderWatch | None = None
        self._identity: tuple[int, int] | None = None
        self._full_identity: tuple[int, int] | None = None
        self._number = 0
        self._lost = False
        self._now = self._look_seconds = 0.0
        self._notified: frozenset[str] = frozenset()
        self._delivers = False
        self._first_listing: set[str] | None = None
        self._arrivals = Arrivals(
            poll if settle is None else settle, _PATIENCE, order
        )
        self._missing_parts: dict[str, str] = {}
        self._others = Ignored()

    @classmethod
    def accepts(cls, address: str) -> bool:
        """Return whether the address is a folder and no live source's; a path of nothing, without a suffix, is one as well."""
        if "://" in address or is_live(address):
            return False
        path = Path(address)
        named_as_folder = address.endswith(("/", os.sep)) or not path.suffix
        return path.is_dir() or (named_as_folder and not path.exists())

    @classmethod
    def open(cls, address: str, options: SourceOptions) -> FolderSource:
        """Return the source of a folder; without an interval, it uses notifications of the system."""
        return cls(
            Path(address),
            poll=_POLL if options.poll is None else options.poll,
            only_new=options.new,
            once=options.once,
            levels=options.levels,
            order=options.order,
            settle=options.settle,
            notify=options.poll is None,
        )

    def remember(self, memory: Memory) -> None:
        """Treat the files of earlier runs as read."""
        self._memory = memory
        self._arrivals.skip(memory.known())

    @property
    def remembered(self) -> int:
        """Number of files in memory."""
        return len(self._arrivals)

    def events(
        self, stop: threading.Event
    ) -> Generator[SourceEvent, None, None]:
        """Yield the pictures as they become ready, until `stop` is set."""
        changed: frozenset[str] = frozenset()
        next_listing = monotonic()
        try:
            while not stop.is_set():
                yield from self._report_unseen(changed)
                start = monotonic()
                notified = self._is_notified(changed)
                if notified and start < next_listing:
                    found = self._look_at(self._arrivals.waiting | changed)
                    self._look_seconds = monotonic() - start
                else:
                    found = yield from self._look_at_all(changed)
                    self._look_seconds = monotonic() - start
                    next_listing = monotonic() + self._pause()
                if found:
                    yield from self._read_ready()
                    if self._once and not self._first_listing_waits():
                        return
                changed = self._wait(stop, next_listing)
        finally:
            self._close_watch()

    def _pause(self) -> float:
        """Return the time between two listings; working notifications make listings rarer that take long."""
        if not self._arrivals.waiting <= self._notified:
            self._delivers = False
        share = _NOTIFIED_PAUSE if self._delivers else 1
        return max(self.poll, share * self._look_seconds)

    def _wait(
        self, stop: threading.Event, next_listing: float
    ) -> frozenset[str]:
        """Wait for the next time to look; return the names of files that came or changed, as far as they are notified."""
        now, settle = monotonic(), self._arrivals.settle
        next_ready = self._arrivals.next_time(now)
        until = min(next_listing, next_ready or next_listing)
        shortest = max(self._look_seconds, min(settle / 10, self.poll))
        pause = max(until - now, shortest if settle else 0.0)
        if self._watch is None:
            stop.wait(pause)
            return frozenset()
        if settle:  # a look goes over all waiting files, so not at every change
            stop.wait(shortest)
            pause -= shortest
        return self._watch.wait(stop, pause)

    def _is_notified(self, changed: frozenset[str]) -> bool:
        """Return whether all waiting files were notified, so that no listing is needed; a network drive notifies none."""
        waiting = self._arrivals.waiting
        self._notified = (self._notified & waiting) | changed
        self._delivers = self._delivers or bool(changed)
        return self._watch is not None and waiting <= self._notified

    def _look_at(self, names: Collection[str]) -> bool:
        """Note the pictures of these names; return False if the folder is gone."""
        self._now = monotonic()
        try:
            for name in filter(is_picture, names):
                stamp = stamp_of(self.folder / name)
                if stamp is not None:
                    self._arrivals.note(name, stamp, self._now)
        except OSError:
            return False
        return True

    def _look_at_all(
        self, changed: Collection[str]
    ) -> Generator[SourceEvent, None, bool]:
        """List the folder; on failure return False and report the first of a series."""
        try:
            with opened_folder(self.folder) as place:
                self._follow_folder(place)
                listing = list_folder(place)
                self._add_overlooked(listing.pictures, place, changed)
        except OSError as error:
            yield from self._report_lost(error)
            return False
        if self._lost:
            self._lost = False
            yield ConnectionChange(
                "resumed", self.title, "the folder is back", 0.0
            )
        self._now = monotonic()
        yield from self._note(listing)
        return True

    def _report_lost(self, error: OSError) -> Iterator[SourceEvent]:
        self._close_watch()
        if self._first_listing is None and not self._once:
            self._first_listing = set(self._memory.first_skip({}))
        if not self._lost:
            reason = error.strerror or str(error)
            yield ConnectionChange(
                "waiting",
                self.title,
                f"the folder {self.folder} cannot be listed ({reason})",
                self.poll,
            )
        self._lost = True

    def _follow_folder(self, place: Place) -> None:
        """Find out which folder has the path now, and watch it. A mounted or unmounted drive changes it."""
        identity = identity_of(place)
        if identity != self._identity:
            self._close_watch()
            if self._notify:
                self._watch = FolderWatch.open(self.folder)
        self._identity = identity

    def _close_watch(self) -> None:
        if self._watch is not None:
            self._watch.close()
        self._watch = self._identity = None

    def _add_overlooked(
        self, pictures: dict[str, Stamp], place: Place, changed: Collection[str]
    ) -> None:
        """Add the known and the notified files that the listing does not have and that exist."""
        known = self._arrivals.known if pictures else self._arrivals.waiting
        names = known.union(filter(is_picture, changed)) - pictures.keys()
        pictures.update(stamps_in(place, names))

    def _note(self, listing: FolderListing) -> Iterator[SourceEvent]:
        """Note a listing; report pictures that are gone, and new kinds of ignored files."""
        pictures = listing.pictures
        if self._first_listing is None:
            self._first_listing = set(pictures)
            skipped = pictures if self._only_new else {}
            self._arrivals.skip(self._memory.first_skip(skipped))
        if pictures:
            self._full_identity = self._identity
        notice = self._others.note(listing.others)
        self.ignored = self._others.count
        if notice is not None:
            yield notice
        if self._identity == self._full_identity:  # else it may be unmounted
            gone = self._arrivals.note_all(pictures, self._now)
            if pictures:
                self._memory.keep_only(pictures)
            yield from self._report_missed(gone, "taken away or renamed")

    def _report_unseen(self, changed: Collection[str]) -> Iterator[SourceEvent]:
        """Report pictures that came, as notified, and were gone before the folder was looked at."""
        pictures = set(filter(is_picture, changed)) - self._arrivals.known
        folder = self.folder
        gone = [n for n in pictures if not os.path.lexists(folder / n)]
        if self.folder.is_dir():  # else the next listing reports it
            yield from self._report_missed(gone, "taken away or renamed")

    def _report_missed(
        self, names: Collection[str], reason: str
    ) -> Iterator[SourceEvent]:
        if names:
            self.missed += len(names)
            yield SourceNotice(
                "missed",
                min(names),
                f"pictures {reason} before they could be read: {len(names)}",
                len(names),
            )

    def _read_ready(self) -> Iterator[SourceEvent]:
        """Read the files that are ready, in order."""
        changed = []
        for name in self._arrivals.ready(self._now, self._is_complete):
            try:
                event = self._read(name)
            except OSError:  # the folder is gone; the next listing reports it
                break
            if event is None:
                changed.append(name)
            else:
                self._arrivals.finish(name)
                yield event
        yield from self._report_missed(changed, "changed again")

    def _is_complete(self, name: str) -> bool:
        """Return whether a file is complete, or was incomplete for so long that it is given up."""
        if not self._arrivals.settle:
            return True
        try:
            missing = missing_part(self.folder / name)
        except OSError:
            return True  # gone; the reader says so
        if missing is None:
            return True
        if not self._arrivals.is_given_up(name, self._now):
            return False
        self._missing_parts[name] = missing
        return True

    def _read(self, name: str) -> SourceEvent | None:
        """Read a file; return None if it changed, so that it is read later.

        Raises:
            OSError: the folder is empty, as the mount point of an unmounted drive is.
        """
        event = self._decode(name)
        stamp_after = stamp_of(self.folder / name)
        if stamp_after is None and isinstance(event, UnusableFrame):
            if not list(self.folder.iterdir()):
                raise OSError("the folder is empty, as an unmounted drive is")
            self.missed += 1
            event = UnusableFrame(
                event.number,
                name,
                f"{self.folder / name} was taken away before it could be inspected",
                stamp=event.stamp,
            )
        elif stamp_after not in (self._arrivals.stamp(name), None):
            self._arrivals.note(name, stamp_after, monotonic())
            return None
        self._number += 1
        return event

    def _decode(self, name: str) -> CapturedFrame | UnusableFrame:
        path, number = self.folder / name, self._number + 1
        stamp = self._arrivals.stamp(name)
        missing = self._missing_parts.pop(name, None)
        if missing is not None:
            return UnusableFrame(
                number,
                name,
                f"{path} is incomplete: {missing}, unchanged for {self._arrivals.patience:g} s; expected a whole picture: "
                "check the program that writes it",
                stamp=stamp,
            )
        try:
            pixels = read_picture(path, levels=self._levels)
        except InputError as error:
            return UnusableFrame(number, name, str(error), stamp=stamp)
        return CapturedFrame(number, name, pixels, path, stamp=stamp)

    def _first_listing_waits(self) -> bool:
        """Return whether a file of the first listing is still unread."""
        first = self._first_listing or set()
        return not first.isdisjoint(self._arrivals.waiting)
