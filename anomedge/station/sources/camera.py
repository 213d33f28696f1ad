"""Source of the frames of a local camera or a network stream."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from typing import Any
from urllib.parse import urlsplit

from anomedge.errors import InputError, SourceLost
from anomedge.station.sources import _opencv
from anomedge.station.sources.base import (
    CapturedFrame,
    ConnectionChange,
    Source,
    SourceEvent,
    SourceOptions,
    UnusableFrame,
)

__all__ = ["CameraSource"]

_SCHEMES = frozenset({"http", "https", "rtsp", "rtsps"})
_STREAM_TIMEOUT = 5000
"""Timeout of OpenCV for a network camera, in milliseconds; its default of 30 s would hide a lost connection."""


class CameraSource(Source):
    """A camera by its number, or a stream by its URL. It is reopened whenever it stops delivering frames.

    The first attempt waits `first` seconds, each further attempt twice as long, up to `longest`; a frame resets the
    delay. The end of a stream counts as a lost connection, even if the stream is a file on a server.

    Args:
        address: camera number, or http(s) or rtsp(s) URL.
        retries: consecutive attempts to reopen before giving up; None for no limit.
        first: delay before the first attempt, in seconds.
        longest: longest delay, in seconds.

    Raises:
        InputError: the URL cannot be parsed.
        RuntimeMissing: OpenCV is not installed.
    """

    name = "camera"
    takes = frozenset({"retries"})
    address_help = "a camera number or a URL such as rtsp://camera/1"
    live = True

    def __init__(
        self,
        address: str,
        *,
        retries: int | None = None,
        first: float = 1.0,
        longest: float = 30.0,
    ) -> None:
        self._address: int | str
        if address.isdecimal():
            self.title, self._address = f"camera{address}", int(address)
        else:
            self.title, self._address = _without_secrets(address), address
        self.retries = retries
        self._first, self._longest = first, longest
        self._opencv = _opencv.load_opencv()

    @classmethod
    def accepts(cls, address: str) -> bool:
        """Return whether the address is a camera number or a stream's URL.

        >>> [CameraSource.accepts(text) for text in ("0", "rtsp://camera/1", "./0")]
        [True, True, False]
        """
        is_number = address.isascii() and address.isdecimal()
        scheme, separator, _ = address.partition("://")
        return is_number or (separator != "" and scheme.lower() in _SCHEMES)

    @classmethod
    def open(cls, address: str, options: SourceOptions) -> CameraSource:
        """Return the source of a camera; it connects when its events are read."""
        return cls(address, retries=options.retries)

    def events(
        self, stop: threading.Event
    ) -> Generator[SourceEvent, None, None]:
        """Yield frames and connection changes until `stop` is set.

        Raises:
            SourceLost: no frame came in `retries` attempts to reopen the camera.
        """
        number, attempts, waiting = 0, 0, False
        while not stop.is_set():
            for frame in self._frames(stop, number):
                if waiting:
                    yield ConnectionChange(
                        "resumed", self.title, "frames come again", 0.0
                    )
                number, attempts, waiting = frame.number, 0, False
                yield frame
            if stop.is_set():
                return
            if self.retries is not None and attempts >= self.retries:
                raise SourceLost(
                    f"{self.title}: no frame after {attempts} attempts to reopen it; check the camera"
                )
            pause = min(self._first * 2 ** min(attempts, 30), self._longest)
            attempts, waiting = attempts + 1, True
            yield ConnectionChange(
                "waiting",
                self.title,
                f"the camera gives no frame; attempt {attempts} to reopen it",
                pause,
            )
            stop.wait(pause)

    def _frames(
        self, stop: threading.Event, number: int
    ) -> Iterator[CapturedFrame | UnusableFrame]:
        """Open the camera and yield frames until it fails; the first has the number `number` + 1."""
        capture = self._open_capture()
        try:
            while not stop.is_set():
                number += 1
                frame = _opencv.next_frame(
                    self._opencv, capture, number, self.title
                )
                if frame is None:
                    return
                yield frame
        finally:
            if capture is not None:
                capture.release()

    def _open_capture(self) -> Any:
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


def _without_secrets(url: str) -> str:
    """Return scheme, host and path; user names, passwords and queries must not reach logs.

    >>> _without_secrets("rtsp://me:secret@camera:554/1?token=2")
    'rtsp://camera:554/1'
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InputError(
            f"got a URL that cannot be parsed ({error}); expected one such as rtsp://camera/1"
        ) from error
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
