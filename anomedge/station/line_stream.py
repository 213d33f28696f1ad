"""Write whole lines to the stream of a station's output, also to a file on a disk that gets full."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TextIO

from anomedge.files import NO_SPACE

__all__ = ["LineStream"]

_LINE_FEED = b"\n"


class LineStream:
    """Writes whole lines.

    Of a line that a full disk did not take as a whole, nothing stays in the file. If it cannot be removed, because another
    program has written after it, the next line begins with a line feed.

    Args:
        stream: a text stream; one of the system is written without its buffer, which would keep a line that failed and
            write it again.

    Attributes:
        lost: number of lines that the disk did not take.
    """

    def __init__(self, stream: TextIO) -> None:
        self.lost = 0
        self._stream = stream
        self._number = _file_number(stream)
        self._torn = False

    def write(self, line: str) -> bool:
        """Write a line, which is ASCII without a line feed; return False if there is no space for it.

        Raises:
            OSError: the stream cannot be written for another reason.
        """
        if self._number is None:
            self._stream.write(f"{line}\n")
            self._stream.flush()
            return True
        content = line.encode("ascii") + _LINE_FEED
        try:
            self._append(self._number, content)
        except OSError as error:
            if error.errno not in NO_SPACE:
                raise
            self.lost += 1
            return False
        return True

    def _append(self, number: int, content: bytes) -> None:
        start = _position(number)
        if self._torn:
            content = _LINE_FEED + content
        done = 0
        try:
            while done < len(content):
                done += os.write(number, content[done:])
        except OSError:
            if done:
                self._torn = not _cut(number, start, done)
            raise
        self._torn = False


def _file_number(stream: TextIO) -> int | None:
    """Return the number of the stream's file; None for a stream in memory."""
    try:
        number = stream.fileno()
        stream.flush()
    except (OSError, ValueError):
        return None
    return number


def _position(number: int) -> int | None:
    """Return where the next byte of a regular file goes; None for other files."""
    state = os.fstat(number)
    if not stat.S_ISREG(state.st_mode):
        return None
    if _appends(number):
        return state.st_size
    return os.lseek(number, 0, os.SEEK_CUR)


def _appends(number: int) -> bool:
    """Return whether a file is open for appending, as by `>>` of a shell."""
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    return bool(fcntl.fcntl(number, fcntl.F_GETFL) & os.O_APPEND)


def _cut(number: int, start: int | None, done: int) -> bool:
    """Remove the last bytes of a file; return whether they are removed."""
    with suppress(OSError):
        if start is not None and os.fstat(number).st_size == start + done:
            os.ftruncate(number, start)
            if not _appends(number):
                os.lseek(number, start, os.SEEK_SET)
            return True
    return False
