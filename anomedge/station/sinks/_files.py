"""Files that sinks append whole lines to."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from anomedge.errors import InputError
from anomedge.station.sinks.base import SinkDown

__all__ = ["LineFile", "checked_path"]

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND
_LINE_FEED = b"\n"


def checked_path(address: str) -> Path:
    """Return the path of a file sink.

    Raises:
        InputError: it is a folder, or its folder does not exist.
    """
    path = Path(address)
    if path.is_dir():
        raise InputError(f"got --sink {path}, a folder; expected a file")
    if not path.parent.is_dir():
        raise InputError(
            f"got --sink {path}; expected an existing folder: create {path.parent}"
        )
    return path.absolute()


class LineFile:
    """A file that is opened for each line, so that a log rotation may rename it at any moment.

    A line is written as a whole or not at all: what a full disk has taken of it is removed.

    Args:
        path: the file; created if it does not exist.
        first: written first into an empty file; ends with a line feed.
    """

    def __init__(self, path: Path, first: bytes = b"") -> None:
        self.path, self.first = path, first
        self._unsynced = False

    def append(self, line: bytes) -> None:
        """Append a line; it ends with a line feed.

        Raises:
            SinkDown: the file cannot be written.
        """
        try:
            descriptor = os.open(self.path, _FLAGS, 0o644)
            try:
                _append(descriptor, line, self.first)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise SinkDown(_reason(error), sent=False) from error
        self._unsynced = True

    def sync(self) -> None:
        """Write the last lines to the disk.

        Raises:
            SinkDown: they cannot be written.
        """
        if not self._unsynced:
            return
        self._unsynced = False
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            # A log rotation has renamed it; the system writes it later.
            return
        except OSError as error:
            raise SinkDown(_reason(error)) from error


def _append(descriptor: int, line: bytes, first: bytes) -> None:
    size = os.fstat(descriptor).st_size
    if size == 0:
        line = first + line
    elif os.pread(descriptor, 1, size - 1) != _LINE_FEED:
        # A power cut tore the last line, or the file is not from here.
        line = _LINE_FEED + line
    try:
        written = os.write(descriptor, line)
        if written == len(line):
            return
        # The rest fails with the reason, as a rule.
        while written < len(line):
            written += os.write(descriptor, line[written:])
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, size)
        raise


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
