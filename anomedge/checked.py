"""Read files whose size and hash are known; each is read once, so the bytes hashed are the bytes used."""

import errno
import os
import stat
from pathlib import Path

from anomedge.errors import IntegrityError
from anomedge.files import sha256_of_bytes

__all__ = ["checked_content"]

# Refuse links; do not block on a pipe. Windows lacks both flags and needs O_BINARY.
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def checked_content(path: Path, size: int, sha256: str) -> bytes:
    """Read a plain file of `size` bytes and check its hash. A file of another size is not read.

    Raises:
        IntegrityError: the file cannot be read, or has another size or SHA-256.
    """
    try:
        content = _content(path, size)
    except OSError as error:
        reason = error.strerror or str(error)
        raise IntegrityError(f"{path} cannot be read any more ({reason}); open the bundle again") from error
    if content is None or len(content) != size or sha256_of_bytes(content) != sha256:
        raise IntegrityError(
            f"{path} was changed since the bundle was opened; expected what its manifest says: open the bundle again"
        )
    return content


def _content(path: Path, size: int) -> bytes | None:
    handle = os.open(path, _FLAGS)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "no plain file")
        return file.read(size) if found.st_size == size else None
