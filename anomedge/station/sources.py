"""Where a station's frames come from: a folder that fills, a video file, a camera.

Every source is one class with one verb, `items(stop)`: an iterator of frames, of troubles (a picture that cannot be
used; the next one comes all the same) and of notices (the source went away, it is back). It ends when there will be
nothing more, and soon after `stop` is set; what a station cannot go on without is raised.

Frames are RGB, uint8 (H, W, 3). Pictures of a folder are read as everywhere in anomedge (`anomedge.images`: EXIF
rotation applied, over 8 bits refused). Frames of cameras and videos are what OpenCV gives: no EXIF is looked at, and
colours go through the stream's own coding, so a detector that shall watch a camera should be fitted on its frames.
OpenCV is imported when a camera or video is opened, not before.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol
from urllib.parse import urlsplit

import numpy as np

from anomedge.errors import InputError, RuntimeMissing
from anomedge.images import SUFFIXES, Frame, read_picture

__all__ = [
    "CameraSource",
    "Captured",
    "FolderSource",
    "Item",
    "Notice",
    "Source",
    "Trouble",
    "VideoSource",
    "is_camera",
]

_SCHEMES = frozenset({"http", "https", "rtsp", "rtsps"})
_STREAM_TIMEOUT = 5000
"""Milliseconds: how long OpenCV may wait for a network camera; its own 30 s would hide a dead one."""


@dataclass(frozen=True, eq=False)
class Captured:
    """A frame.

    Attributes:
        number: of the frame within its source, from 1; pictures that could not be read and frames that were dropped
            have one too.
        name: the file's name, or the source's with "#" and the number.
        pixels: uint8 (H, W, 3), RGB.
        path: absolute, of the picture; None for a camera or video.
        time: when it was read, in seconds since 1970.
    """

    number: int
    name: str
    pixels: Frame
    path: Path | None = None
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Trouble:
    """A frame that cannot be used, and why."""

    number: int
    name: str
    message: str
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Notice:
    """The source went away ("waiting"; `seconds` until the next attempt) or is back ("resumed")."""

    event: Literal["waiting", "resumed"]
    name: str
    message: str
    seconds: float
    time: float = field(default_factory=time.time)


Item = Captured | Trouble | Notice


class Source(Protocol):
    """What a station reads.

    Attributes:
        name: of the whole source, for people; holds no password.
        live: whether frames keep coming when nobody takes them, so that old ones have to be dropped.
    """

    name: str
    live: bool

    def items(self, stop: threading.Event) -> Generator[Item, None, None]:
        """Frames, troubles and notices in their order, until there are no more or `stop` is set."""


class _Stamp(NamedTuple):
    """By which a rewritten file is known; no inode: network drives number them anew."""

    mtime: int
    size: int


class FolderSource:
    """The pictures directly in a folder: those that are there, then those that arrive.

    - The folder is listed every `poll` seconds, or as rarely as a listing takes. A file is read once its size and
      modification time are those of the listing before; within a listing the order is that of (time, name). Whoever
      writes slower than that, or through a share that caches sizes, should write under another name (hidden, or with
      another suffix) and rename; a file that was read too early is an error and is read again when it has changed.
    - A file is read again only when its size or modification time changed.
    - Left out: hidden names, names that start with "~", other suffixes than pictures have, folders, and links, which
      could lead anywhere. The folder itself may be a link.
    - What is remembered is one entry a file in the folder. An empty listing forgets nothing: it is also what is left
      of a network drive that was unmounted, and its pictures must not be taken for new ones when it is back.
    - A folder that cannot be listed is waited for; one notice says so, another that it is back.

    Args:
        folder: that exists now.
        poll: seconds between listings.
        only_new: leave out what is there at the start.
        once: end when what is there at the start was read.
    """

    live = False

    def __init__(
        self,
        folder: Path,
        *,
        poll: float = 0.5,
        only_new: bool = False,
        once: bool = False,
    ) -> None:
        if not folder.is_dir():
            raise InputError(
                f"got {folder}; expected a folder of pictures: check the path"
            )
        self.folder = folder.absolute()
        self.name = str(folder)
        self.poll = poll
        self._only_new = only_new
        self._once = once
        self._number = 0
        self._lost = False
        self._first: set[str] | None = None
        self._before: dict[str, _Stamp] = {}
        self._done: dict[str, _Stamp] = {}

    @property
    def remembered(self) -> int:
        """How many files are remembered."""
        return len(self._done.keys() | self._before.keys())

    def items(self, stop: threading.Event) -> Generator[Item, None, None]:
        """As `Source.items`."""
        while not stop.is_set():
            start = time.monotonic()
            found = yield from self._listing()
            pause = max(self.poll, time.monotonic() - start)
            if found is not None:
                yield from self._settled(found)
                if self._once and not self._left(found):
                    return
            stop.wait(pause)

    def _listing(self) -> Generator[Item, None, dict[str, _Stamp] | None]:
        """What is in the folder; None, and a notice the first time, where it cannot be listed."""
        try:
            found = self._list()
        except OSError as error:
            if not self._lost:
                reason = error.strerror or str(error)
                yield Notice(
                    "waiting",
                    self.name,
                    f"the folder cannot be listed ({reason})",
                    self.poll,
                )
            self._lost = True
            return None
        if self._lost:
            self._lost = False
            yield Notice("resumed", self.name, "the folder is back", 0.0)
        return found

    def _list(self) -> dict[str, _Stamp]:
        found = {}
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if _is_picture(entry.name) and (
                    stamp := _stamp(self.folder / entry.name)
                ):
                    found[entry.name] = stamp
        return found

    def _settled(self, found: dict[str, _Stamp]) -> Iterator[Item]:
        """Take note of a listing, and read what has not changed since the one before."""
        if self._first is None:
            self._first = set(found)
            self._done = dict(found) if self._only_new else {}
        if found:
            self._done = {
                name: stamp
                for name, stamp in self._done.items()
                if name in found
            }
        same = {
            name
            for name, stamp in found.items()
            if self._before.get(name) == stamp
        }
        self._before = found
        ready = [name for name in same if self._done.get(name) != found[name]]
        for name in sorted(ready, key=lambda each: (found[each].mtime, each)):
            try:
                item = self._read(name, found[name])
            except (
                OSError
            ):  # the folder itself went away: the next listing says so
                return
            if item is not None:
                self._done[name] = found[name]
                yield item

    def _read(self, name: str, stamp: _Stamp) -> Item | None:
        """The frame, why there is none, or None for a file that is being rewritten: its turn comes again."""
        path = self.folder / name
        item: Item
        number = self._number + 1
        try:
            item = Captured(number, name, read_picture(path), path)
        except InputError as error:
            item = Trouble(number, name, str(error))
        now = _stamp(path)
        if now is None and isinstance(item, Trouble):
            if not list(self.folder.iterdir()):
                raise OSError("the folder is empty, as an unmounted drive is")
            item = Trouble(
                number,
                name,
                f"{path} was taken away before it could be inspected",
            )
        elif now not in (stamp, None):
            return None
        self._number = number
        return item

    def _left(self, found: dict[str, _Stamp]) -> bool:
        """Whether a file of the first listing is still to be read."""
        return any(
            self._done.get(name) != found[name]
            for name in self._first or ()
            if name in found
        )


class VideoSource:
    """The frames of a video file, every one of them, then the end.

    Where a video says that it is to be shown rotated, OpenCV rotates its frames.
    """

    live = False

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() in SUFFIXES:
            raise InputError(
                f"got the picture {path}; expected a video, a folder or a camera: use anomedge predict"
            )
        self.path = path
        self.name = path.name
        self._opencv = _opencv()

    def items(self, stop: threading.Event) -> Generator[Item, None, None]:
        """As `Source.items`.

        Raises:
            InputError: OpenCV cannot open the file, or finds no frame in it.
        """
        capture = self._opencv.VideoCapture(str(self.path))
        number = 0
        try:
            while not stop.is_set():
                number += 1
                if (
                    item := _next(self._opencv, capture, number, self.name)
                ) is None:
                    break
                yield item
        finally:
            capture.release()
        if number == 1 and not stop.is_set():
            raise InputError(
                f"{self.path}: OpenCV finds no frame in it; expected a video: convert it, or check it"
            )


class CameraSource:
    """A camera by its number, or a stream by its URL: reopened whenever it stops delivering.

    The first attempt waits `first` seconds, each further one twice as long, up to `longest`; a frame that arrives
    starts over. A stream that ends is taken for a camera that stopped, also where it is a file on a server.

    Args:
        address: a number, or an http(s) or rtsp(s) URL.
        retries: attempts in a row to reopen it before giving up; for ever when None.
        first: seconds.
        longest: seconds.
    """

    live = True

    def __init__(
        self,
        address: str,
        *,
        retries: int | None = None,
        first: float = 1.0,
        longest: float = 30.0,
    ) -> None:
        self.name = (
            f"camera{address}"
            if address.isdecimal()
            else _without_secrets(address)
        )
        self.retries = retries
        self._address: int | str = (
            int(address) if address.isdecimal() else address
        )
        self._first, self._longest = first, longest
        self._opencv = _opencv()

    def items(self, stop: threading.Event) -> Generator[Item, None, None]:
        """As `Source.items`.

        Raises:
            InputError: no frame came in `retries` attempts to reopen it.
        """
        number, attempts, waiting = 0, 0, False
        while not stop.is_set():
            for item in self._frames(stop, number):
                if waiting:
                    yield Notice("resumed", self.name, "frames come again", 0.0)
                number, attempts, waiting = item.number, 0, False
                yield item
            if stop.is_set():
                return
            if self.retries is not None and attempts >= self.retries:
                raise InputError(
                    f"{self.name}: no frame after {attempts} attempts to reopen it; check the camera"
                )
            pause = min(self._first * 2 ** min(attempts, 30), self._longest)
            attempts, waiting = attempts + 1, True
            yield Notice(
                "waiting",
                self.name,
                f"the camera gives no frame; attempt {attempts} to reopen it",
                pause,
            )
            stop.wait(pause)

    def _frames(
        self, stop: threading.Event, number: int
    ) -> Iterator[Captured | Trouble]:
        """The frames of one opening, until the camera fails."""
        capture = self._open()
        try:
            while not stop.is_set():
                number += 1
                item = _next(self._opencv, capture, number, self.name)
                if item is None:
                    return
                yield item
        finally:
            if capture is not None:
                capture.release()

    def _open(self) -> Any:
        cv = self._opencv
        try:
            if isinstance(self._address, int):
                return cv.VideoCapture(self._address)
            limits = [
                cv.CAP_PROP_OPEN_TIMEOUT_MSEC,
                _STREAM_TIMEOUT,
                cv.CAP_PROP_READ_TIMEOUT_MSEC,
                _STREAM_TIMEOUT,
            ]
            return cv.VideoCapture(self._address, cv.CAP_ANY, limits)
        except cv.error:
            return None


def is_camera(address: str) -> bool:
    """Whether this is a camera's number or a stream's URL.

    >>> is_camera("0"), is_camera("rtsp://camera/1"), is_camera("./0")
    (True, True, False)
    """
    return (address.isascii() and address.isdecimal()) or _scheme(
        address
    ) in _SCHEMES


def _scheme(address: str) -> str:
    return address.split("://", 1)[0].lower() if "://" in address else ""


def _without_secrets(url: str) -> str:
    """Scheme, host and path: user names, passwords and queries do not belong in a log.

    >>> _without_secrets("rtsp://me:secret@camera:554/1?token=2")
    'rtsp://camera:554/1'
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InputError(
            f"got a URL that cannot be read ({error}); expected one such as rtsp://camera/1"
        ) from error
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _next(
    cv: Any, capture: Any, number: int, name: str
) -> Captured | Trouble | None:
    """The next frame of a capture in RGB; None when it gives none."""
    try:
        got, pixels = capture.read() if capture is not None else (False, None)
    except cv.error:
        return None
    if not got or pixels is None:
        return None
    name = f"{name}#{number}"
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        got = f"{pixels.dtype} {pixels.shape}"
        return Trouble(
            number,
            name,
            f"{name}: got {got}; expected uint8 (H, W, 3): set the camera to 8-bit colour",
        )
    return Captured(number, name, np.ascontiguousarray(pixels[..., ::-1]))


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise RuntimeMissing(
            f"OpenCV cannot be imported ({error}); expected it for cameras and videos: pip install 'anomedge[camera]'"
        ) from error
    return cv2


def _is_picture(name: str) -> bool:
    return (
        not name.startswith((".", "~"))
        and os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122
    )


def _stamp(path: Path) -> _Stamp | None:
    """None for what is gone, and for what is no plain file; other errors are the folder's."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return (
        _Stamp(found.st_mtime_ns, found.st_size)
        if stat.S_ISREG(found.st_mode)
        else None
    )
