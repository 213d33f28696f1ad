"""Open plain files only: the check is made on the open file, because a path can be replaced at any moment."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

__all__ = ["open_plain", "size_of"]

# Do not block on a pipe. Windows lacks the first two flags and needs O_BINARY.
_NO_WAIT = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def open_plain(path: Path, *, links: bool = True) -> BinaryIO:
    """Open a plain file for reading without ever blocking; `links` allows a symbolic link to one.

    Raises:
        OSError: the file cannot be opened, or is a pipe, a device, a folder or a refused link.
    """
    handle = os.open(path, os.O_RDONLY | _NO_WAIT | (0 if links else _NO_LINK))
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return open(handle, "rb")  # noqa: PTH123 - a descriptor, so that the file checked is the file read
    os.close(handle)
    raise OSError(errno.EINVAL, "no plain file: a folder, a pipe or a device")


def size_of(file: BinaryIO) -> int:
    """Size of an open file, in bytes."""
    return os.fstat(file.fileno()).st_size
