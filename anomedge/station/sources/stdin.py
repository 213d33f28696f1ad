"""Source of raw frames on standard input."""

from __future__ import annotations

import io
import os
import re
import threading

import numpy as np
import numpy.typing as npt

from anomedge.errors import InputError
from anomedge.resample.levels import Levels
from anomedge.station.sources._connection import Shots
from anomedge.station.sources._live import LiveSource
from anomedge.station.sources._pixel_format import PIXEL_FORMATS, RawFormat
from anomedge.station.sources._raw_frames import read_into, shot_of
from anomedge.station.sources.base import FramePolicy, SourceOptions

__all__ = ["StdinSource"]

_ADDRESS = re.compile(r"raw:([0-9]{1,6})x([0-9]{1,6}):(\w+)", re.ASCII)
_STDIN = 0


class StdinSource(LiveSource):
    """Frames without headers, one after another, until the writer closes its end.

    The writer waits while the queue is full, unless the policy is `latest`. Standard input cannot be opened again:
    after a time limit the source waits for the writer. A last frame that is not whole is unusable.

    Args:
        frame: format of the frames.
        file: standard input, unbuffered.
        options: those of live sources.
    """

    name = "stdin"
    takes = LiveSource.takes | {"levels", "once"}
    address_help = "raw:WIDTHxHEIGHT:FORMAT"
    device = "program that writes the frames"
    attempt = "read it"
    default_policy = FramePolicy.ALL

    def __init__(
        self,
        frame: RawFormat,
        file: io.RawIOBase,
        options: SourceOptions | None = None,
    ) -> None:
        super().__init__("stdin", options)
        self._frame, self._file = frame, file

    @classmethod
    def accepts(cls, address: str) -> bool:
        """Return whether the address states raw frames.

        >>> [StdinSource.accepts(text) for text in ("raw:640x480:rgb", "raw")]
        [True, False]
        """
        return address.startswith("raw:")

    @classmethod
    def open(cls, address: str, options: SourceOptions) -> StdinSource:
        """Return the source of standard input."""
        frame = _parsed(address, options.levels)
        try:
            if os.isatty(_STDIN):
                raise InputError(
                    f"got {address}, and a terminal as standard input; expected raw frames: program | anomedge watch ..."
                )
            file = io.FileIO(_STDIN, closefd=False)
        except OSError as error:
            raise InputError(
                f"got {address}, and no standard input; expected raw frames on it"
            ) from error
        return cls(frame, file, options)

    def frames(self, number: int, stop: threading.Event) -> Shots:
        """Yield frames until the writer closes its end or `stop` is set.

        Raises:
            InputError: there is no frame.
        """
        while not stop.is_set():
            content: npt.NDArray[np.uint8] = np.empty(
                self._frame.size, np.uint8
            )
            got = read_into(self._file, content)
            if got == 0:
                break
            number += 1
            yield shot_of(self._frame, content[:got], number, self.title)
        if number == 0 and not stop.is_set():
            raise InputError(
                f"standard input ended before the first byte; expected raw frames of {self._frame}"
            )


def _parsed(address: str, levels: Levels | None) -> RawFormat:
    found = _ADDRESS.fullmatch(address)
    if found is None or found[3] not in PIXEL_FORMATS:
        names = ", ".join(PIXEL_FORMATS)
        raise InputError(
            f"got {address}; expected raw:WIDTHxHEIGHT:FORMAT with one of the formats {names}"
        )
    pixels = PIXEL_FORMATS[found[3]]
    return RawFormat(int(found[1]), int(found[2]), pixels, levels)
