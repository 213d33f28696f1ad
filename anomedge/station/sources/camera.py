"""Source of the frames of a local camera by its number, or of a network stream."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from anomedge.errors import InputError
from anomedge.station.sources import _opencv
from anomedge.station.sources.base import SourceOptions

__all__ = ["CameraSource"]

_SCHEMES = frozenset({"http", "https", "rtsp", "rtsps"})


class CameraSource(_opencv.OpenCvSource):
    """A camera by its number, or a stream by its URL.

    The end of a stream counts as a lost connection, even if the stream is a file on a server. OpenCV gets the time
    limits of a stream as well: its own default of 30 s would delay the next attempt.

    Args:
        address: camera number, or http(s) or rtsp(s) URL.
        options: those of live sources.

    Raises:
        InputError: the URL cannot be parsed.
        RuntimeMissing: OpenCV is not installed.
    """

    name = "camera"
    address_help = "a camera number or a URL such as rtsp://camera/1"

    def __init__(
        self, address: str, options: SourceOptions | None = None
    ) -> None:
        self._address: int | str
        if address.isdecimal():
            title, self._address = f"camera{address}", int(address)
        else:
            title, self._address = _without_secrets(address), address
        super().__init__(title, options)

    @classmethod
    def accepts(cls, address: str) -> bool:
        """Return whether the address is a camera number or a stream's URL.

        >>> [CameraSource.accepts(text) for text in ("0", "rtsp://camera/1", "./0")]
        [True, True, False]
        """
        is_number = address.isascii() and address.isdecimal()
        scheme, separator, _ = address.partition("://")
        return is_number or (separator != "" and scheme.lower() in _SCHEMES)

    def capture(self) -> Any:
        """Open the camera or the stream."""
        cv = self._opencv
        if isinstance(self._address, int):
            return cv.VideoCapture(self._address)
        limits = [
            cv.CAP_PROP_OPEN_TIMEOUT_MSEC,
            round(1000 * self.first_frame),
            cv.CAP_PROP_READ_TIMEOUT_MSEC,
            round(1000 * self.read_timeout),
        ]
        return cv.VideoCapture(self._address, cv.CAP_ANY, limits)


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
