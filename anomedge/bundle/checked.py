"""Read a file once and check its size and hash, so that the bytes hashed are the bytes used."""

from pathlib import Path

from anomedge.errors import IntegrityError
from anomedge.files import open_plain, sha256_of_bytes, sha256_of_open, size_of

__all__ = ["check_file", "checked_content"]


def check_file(path: Path, size: int, sha256: str) -> None:
    """Check a plain file's size and hash, in blocks.

    Raises:
        OSError: the file cannot be opened, or is no plain file.
        IntegrityError: it has another size or SHA-256.
    """
    with open_plain(path, links=False) as file:
        found = size_of(file)
        if found != size:
            raise IntegrityError(
                f"{path}: got {found} bytes; expected {size}: copy the bundle again"
            )
        if sha256_of_open(file) != sha256:
            raise IntegrityError(
                f"{path} was changed: its SHA-256 is not the manifest's; copy the bundle again"
            )


def checked_content(path: Path, size: int, sha256: str) -> bytes:
    """Read a plain file of `size` bytes and check its hash. A file of another size is not read.

    Raises:
        IntegrityError: the file cannot be read, or has another size or SHA-256.
    """
    try:
        content = _content(path, size)
    except OSError as error:
        reason = error.strerror or str(error)
        raise IntegrityError(
            f"{path} cannot be read any more ({reason}); open the bundle again"
        ) from error
    if (
        content is None
        or len(content) != size
        or sha256_of_bytes(content) != sha256
    ):
        raise IntegrityError(
            f"{path} was changed since the bundle was opened; expected its hash in the manifest: open the bundle again"
        )
    return content


def _content(path: Path, size: int) -> bytes | None:
    with open_plain(path, links=False) as file:
        return file.read(size) if size_of(file) == size else None
