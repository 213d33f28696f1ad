"""Source of the frames of a V4L2 device of Linux, by OpenCV's backend of that name."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from anomedge.errors import InputError
from anomedge.station.sources import _opencv
from anomedge.station.sources._connection import Disconnected
from anomedge.station.sources.base import SourceOptions

__all__ = ["V4l2Source"]

_PREFIXES = ("/dev/video", "/dev/v4l/")
_SETTINGS = {
    "width": "CAP_PROP_FRAME_WIDTH",
    "height": "CAP_PROP_FRAME_HEIGHT",
    "fps": "CAP_PROP_FPS",
}
# OpenCV reduces them to 8 bits, or interpolates them by a rule of its own.
_NOT_8_BIT_COLOUR = frozenset(
    {"Y10 ", "Y12 ", "Y16 ", "BA81", "GBRG", "GRBG", "RGGB", "BYR2"}
)


class V4l2Source(_opencv.OpenCvSource):
    """A device by its path, which `/dev/v4l/by-id/` and `/dev/v4l/by-path/` keep when cameras are plugged in another order.

    Settings follow a question mark: `/dev/video0?width=1280&height=720&fps=30&fourcc=MJPG`. The device may refuse them:
    then it counts as lost. Pixel formats of more than 8 bits, and Bayer mosaics, are refused: the sources `gstreamer`
    and `stdin` read them without loss.

    Args:
        address: path of the device, with settings.
        options: those of live sources.

    Raises:
        InputError: unknown settings.
        RuntimeMissing: OpenCV is not installed.
    """

    name = "v4l2"
    address_help = "/dev/videoN"

    def __init__(
        self, address: str, options: SourceOptions | None = None
    ) -> None:
        self.path, _, query = address.partition("?")
        self._numbers, self._fourcc = _settings(address, query)
        super().__init__(self.path, options)

    @classmethod
    def accepts(cls, address: str) -> bool:
        """Return whether the address is the path of a video device.

        >>> [V4l2Source.accepts(text) for text in ("/dev/video2", "/dev/shm")]
        [True, False]
        """
        return address.startswith(_PREFIXES)

    def capture(self) -> Any:
        """Open the device, and refuse formats and settings that it did not take."""
        cv = self._opencv
        capture = cv.VideoCapture(self.path, cv.CAP_V4L2)
        try:
            if not capture.isOpened():
                raise Disconnected("the device cannot be opened")
            self._set(capture)
            self._check(capture)
        except BaseException:
            capture.release()
            raise
        return capture

    def _set(self, capture: Any) -> None:
        cv = self._opencv
        if self._fourcc:
            code = cv.VideoWriter_fourcc(*self._fourcc)
            capture.set(cv.CAP_PROP_FOURCC, code)
        for name, value in self._numbers.items():
            capture.set(getattr(cv, _SETTINGS[name]), value)

    def _check(self, capture: Any) -> None:
        """Refuse pixel formats that OpenCV reduces, and settings that the device did not take."""
        cv = self._opencv
        code = int(capture.get(cv.CAP_PROP_FOURCC))
        fourcc = code.to_bytes(4, "little", signed=code < 0).decode("latin-1")
        if fourcc in _NOT_8_BIT_COLOUR:
            raise InputError(
                f"{self.title}: got the pixel format {fourcc.strip()}, which OpenCV reduces to 8 bits by a rule of its own; "
                f"expected 8-bit colour: use gst:v4l2src device={self.path} ! ..., or ?fourcc="
            )
        if self._fourcc and fourcc != self._fourcc:
            raise Disconnected(f"got fourcc {fourcc}, not {self._fourcc}")
        for name, value in self._numbers.items():
            found = capture.get(getattr(cv, _SETTINGS[name]))
            if round(found) != value:
                raise Disconnected(f"got {name} {found:g}, not {value}")


def _settings(address: str, query: str) -> tuple[dict[str, int], str]:
    """Return the numbers of an address by name, and its fourcc, "" for none."""
    given = dict(parse_qsl(query, keep_blank_values=True))
    fourcc = given.pop("fourcc", "")
    valid = {
        name: int(text)
        for name, text in given.items()
        if name in _SETTINGS and text.isascii() and text.isdecimal()
    }
    if len(valid) < len(given) or len(fourcc) not in (0, 4):
        raise InputError(
            f"got {address}; expected settings such as ?width=1280&height=720&fps=30&fourcc=MJPG"
        )
    return valid, fourcc
