"""Source of the pictures in a folder: those present at the start, then those that arrive."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import NamedTuple

from anomedge.errors import InputError
from anomedge.images import SUFFIXES, read_picture
from anomedge.resample.levels import Levels
from anomedge.station.sources.base import (
    CapturedFrame,
    ConnectionChange,
    Source,
    SourceEvent,
    SourceOptions,
    UnusableFrame,
)
from anomedge.station.sources.camera import CameraSource

__all__ = ["FolderSource"]


class _Stamp(NamedTuple):
    """Version of a file. Inode numbers are left out because network drives renumber them."""

    mtime: int
    size: int


class FolderSource(Source):
    """The pictures directly in a folder: those present at the start, then those that arrive.

    - The folder is listed every `poll` seconds, or less often if a listing takes longer. A file is read once its size
      and modification time equal those of the previous listing. Files of one listing are ordered by (time, name). A
      program that writes more slowly, or through a share that caches sizes, should write under another name (hidden,
      or with another suffix) and rename. A file that was read too early is reported as unusable, and read again when
      it changes.
    - A file is read again only if its size or modification time changed.
    - Skipped are hidden names, names that start with "~", suffixes of other file types, folders, and links, which may
      lead outside. The folder itself may be a link.
    - Memory: one entry per file in the folder. An empty listing discards no entry, because an unmounted network drive
      looks empty, and its pictures must not count as new when it returns.
    - If the folder cannot be listed, the source waits for it and reports the loss and the return once each.

    Args:
        folder: an existing folder.
        poll: interval between listings, in seconds.
        only_new: skip the pictures that are present at the start.
        once: end after the pictures that are present at the start.
        levels: of pictures with more than 8 bits per channel; None for pictures of 8 bits.

    Raises:
        InputError: the folder does not exist, or `once` and `only_new` are both given.
    """

    name = "folder"
    takes = frozenset({"once", "new", "levels"})
    address_help = "a folder"

    def __init__(
        self,
        folder: Path,
        *,
        poll: float = 0.5,
        only_new: bool = False,
        once: bool = False,
        levels: Levels | None = None,
    ) -> None:
        if not folder.is_dir():
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
        self._once = once
        self._levels = levels
        self._number = 0
        self._lost = False
        self._first_listing: set[str] | None = None
        self._last_listing: dict[str, _Stamp] = {}
        self._done: dict[str, _Stamp] = {}

    @classmethod
    def accepts(cls, address: str) -> bool:
        """Return whether the address is an existing folder and no camera's."""
        return Path(address).is_dir() and not CameraSource.accepts(address)

    @classmethod
    def open(cls, address: str, options: SourceOptions) -> FolderSource:
        """Return the source of a folder."""
        return cls(
            Path(address),
            poll=options.poll,
            only_new=options.new,
            once=options.once,
            levels=options.levels,
        )

    @property
    def remembered(self) -> int:
        """Number of files in memory."""
        return len(self._done.keys() | self._last_listing.keys())

    def events(
        self, stop: threading.Event
    ) -> Generator[SourceEvent, None, None]:
        """Yield the pictures of each listing, until `stop` is set."""
        while not stop.is_set():
            start = time.monotonic()
            listing = yield from self._try_to_list()
            pause = max(self.poll, time.monotonic() - start)
            if listing is not None:
                yield from self._read_unchanged(listing)
                if self._once and not self._first_listing_pending(listing):
                    return
            stop.wait(pause)

    def _try_to_list(
        self,
    ) -> Generator[SourceEvent, None, dict[str, _Stamp] | None]:
        """List the folder; on failure return None and report the first of a series."""
        try:
            listing = self._list()
        except OSError as error:
            if not self._lost:
                reason = error.strerror or str(error)
                yield ConnectionChange(
                    "waiting",
                    self.title,
                    f"the folder cannot be listed ({reason})",
                    self.poll,
                )
            self._lost = True
            return None
        if self._lost:
            self._lost = False
            yield ConnectionChange(
                "resumed", self.title, "the folder is back", 0.0
            )
        return listing

    def _list(self) -> dict[str, _Stamp]:
        listing = {}
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if not _is_picture(entry.name):
                    continue
                stamp = _stamp(self.folder / entry.name)
                if stamp is not None:
                    listing[entry.name] = stamp
        return listing

    def _read_unchanged(
        self, listing: dict[str, _Stamp]
    ) -> Iterator[SourceEvent]:
        """Read the new files that did not change since the previous listing."""
        if self._first_listing is None:
            self._first_listing = set(listing)
            self._done = dict(listing) if self._only_new else {}
        if listing:
            self._forget_all_but(listing)
        for name in self._ready(listing):
            try:
                event = self._read(name, listing[name])
            except OSError:  # the folder is gone; the next listing reports it
                return
            if event is not None:
                self._done[name] = listing[name]
                yield event

    def _forget_all_but(self, listing: dict[str, _Stamp]) -> None:
        self._done = {
            name: stamp for name, stamp in self._done.items() if name in listing
        }

    def _ready(self, listing: dict[str, _Stamp]) -> list[str]:
        """Return the unread files with the stamp of the previous listing, ordered by (time, name); keep the listing."""
        ready = []
        for name, stamp in listing.items():
            unchanged = self._last_listing.get(name) == stamp
            if unchanged and self._done.get(name) != stamp:
                ready.append(name)
        self._last_listing = listing
        return sorted(ready, key=lambda name: (listing[name].mtime, name))

    def _read(self, name: str, stamp: _Stamp) -> SourceEvent | None:
        """Read a file; return None if it is being rewritten, so that it is read later.

        Raises:
            OSError: the folder is empty, as the mount point of an unmounted drive is.
        """
        path = self.folder / name
        event: SourceEvent
        number = self._number + 1
        try:
            pixels = read_picture(path, levels=self._levels)
            event = CapturedFrame(number, name, pixels, path)
        except InputError as error:
            event = UnusableFrame(number, name, str(error))
        stamp_after = _stamp(path)
        if stamp_after is None and isinstance(event, UnusableFrame):
            if not list(self.folder.iterdir()):
                raise OSError("the folder is empty, as an unmounted drive is")
            event = UnusableFrame(
                number,
                name,
                f"{path} was taken away before it could be inspected",
            )
        elif stamp_after not in (stamp, None):
            return None
        self._number = number
        return event

    def _first_listing_pending(self, listing: dict[str, _Stamp]) -> bool:
        """Return whether a file of the first listing is still unread."""
        for name in self._first_listing or ():
            if name in listing and self._done.get(name) != listing[name]:
                return True
        return False


def _is_picture(name: str) -> bool:
    if name.startswith((".", "~")):
        return False
    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122


def _stamp(path: Path) -> _Stamp | None:
    """Return the version of a plain file; None if the file is gone or not plain. Other errors concern the folder."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return _Stamp(found.st_mtime_ns, found.st_size)
