"""Open a file of torch.save and read its content without executing the pickle."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from anomedge.errors import ModelError
from anomedge.files import open_plain, sha256_of_open, size_of
from anomedge.interop.archive.formats import check_beginning, check_names
from anomedge.interop.archive.limits import Budget, Refused
from anomedge.interop.archive.member_content import (
    MemberStream,
    check_content,
    read_small,
)
from anomedge.interop.archive.members import Member, read_members
from anomedge.interop.archive.nesting import check_depth
from anomedge.interop.archive.opcodes import interpret
from anomedge.interop.archive.persistent import Storages
from anomedge.names import printable

__all__ = ["Archive", "open_archive"]

_PICKLE = "data.pkl"
_LITTLE = b"little"


@dataclass(frozen=True)
class Archive:
    """Content of a file of torch.save.

    Attributes:
        content: dicts, lists, tuples, sets, text, bytes, numbers, None, `StoredTensor` and `Record`. It can contain
            itself; a chain of values has at most 200 levels.
        digest: SHA-256 of the file in hexadecimal.
    """

    content: Any
    digest: str


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Read a file of torch.save (`.pt`, `.pth`, `.ckpt`); its tensors can be loaded until the block ends.

    No pickle is executed. Memory stays below twice the file's size and 64 MB.

    Raises:
        ModelError: the file cannot be read, is damaged, hostile, or of another format.
    """
    with _opened(path) as file:
        yield _read(path, file)


def _opened(path: Path) -> BinaryIO:
    try:
        return open_plain(path)
    except OSError as error:
        raise ModelError(
            printable(
                f"cannot read {path}: {error.strerror or error}; expected a file written by torch.save"
            )
        ) from error


def _read(path: Path, file: BinaryIO) -> Archive:
    try:
        content = _content(file)
        file.seek(0)
        return Archive(content, sha256_of_open(file))
    except (Refused, OSError) as error:
        reason = str(error)
    # Raised here, because a cause would keep the frames of the interpreter, and with them the values that it built.
    raise ModelError(printable(f"cannot read {path}: {reason}"))


def _content(file: BinaryIO) -> Any:
    check_beginning(file)
    members = read_members(file)
    root = _root(members)
    check_names(root, members)
    _check_order(file, members.get(f"{root}/byteorder"))
    pickle = members[f"{root}/{_PICKLE}"]
    check_content(file, pickle)
    budget = Budget(size_of(file))
    storages = Storages(file, root, members)
    stream = MemberStream(file, pickle, budget)
    content = interpret(stream, budget, storages.load)
    check_depth(content)
    return content


def _root(members: dict[str, Member]) -> str:
    roots = [
        name.removesuffix(f"/{_PICKLE}")
        for name in members
        if name.endswith(f"/{_PICKLE}") and name.count("/") == 1
    ]
    if len(roots) != 1:
        raise Refused(
            f"got a zip file with {len(roots)} members named {_PICKLE}; expected one, as torch.save writes"
        )
    return roots[0]


def _check_order(file: BinaryIO, member: Member | None) -> None:
    """Raise if the file states another byte order; torch before 2.1 states none and writes little-endian values."""
    order = read_small(file, member) if member else _LITTLE
    if order != _LITTLE:
        raise Refused(
            f"its values have the byte order {order[:20]!r}; expected {_LITTLE!r}: save it again on such a machine"
        )
