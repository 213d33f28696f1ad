"""The files of a folder: pictures with the version of each, and other entries with their kind."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from string import digits
from typing import NamedTuple

from anomedge.images import SUFFIXES

__all__ = [
    "FolderListing",
    "NaturalKey",
    "Place",
    "Stamp",
    "identity_of",
    "is_hidden",
    "is_picture",
    "list_folder",
    "natural",
    "opened_folder",
    "stamp_in",
    "stamp_of",
    "stamps_in",
]


class Stamp(NamedTuple):
    """Version of a file. Inode numbers are left out because network drives renumber them."""

    mtime: int
    size: int


class FolderListing(NamedTuple):
    """Entries of a folder: pictures by name, and the kinds of all others by name. Hidden names are in neither."""

    pictures: dict[str, Stamp]
    others: dict[str, str]


Place = int | Path
"""A folder: an open one, or its path where the system opens none."""


@contextmanager
def opened_folder(folder: Path) -> Iterator[Place]:
    """Open a folder, so that it stays the same one while it is looked at, whatever happens to its path.

    A drive may be unmounted between the look at one file and the next: by their paths, the others would seem to be gone.

    Raises:
        OSError: it cannot be opened, or, on a system that opens no folders, it was replaced meanwhile.
    """
    if os.scandir not in os.supports_fd or os.stat not in os.supports_dir_fd:
        before = folder.stat()
        yield folder
        if not os.path.samestat(before, folder.stat()):
            raise OSError("it was replaced while it was listed")
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield handle
    finally:
        os.close(handle)


def list_folder(place: Place) -> FolderListing:
    """List a folder.

    While files come and go, the system may leave out a file that was in the folder all the time.

    Raises:
        OSError: the folder cannot be listed.
    """
    found = FolderListing({}, {})
    with os.scandir(place) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            if not is_picture(entry.name):
                found.others[entry.name] = _kind_of(entry)
                continue
            stamp = stamp_in(place, entry.name)
            if stamp is not None:
                found.pictures[entry.name] = stamp
            elif not entry.is_file(follow_symlinks=False):  # else it is gone
                found.others[entry.name] = _kind_of(entry)
    return found


def is_hidden(name: str) -> bool:
    """Return whether a name is one of the file managers' and writers' hidden and temporary names."""
    return name.startswith((".", "~"))


def is_picture(name: str) -> bool:
    """Return whether a name is a picture's.

    >>> is_picture("a.PNG"), is_picture(".a.png"), is_picture("a.txt")
    (True, False, False)
    """
    return not is_hidden(name) and _suffix(name) in SUFFIXES


def stamp_of(path: str | Path) -> Stamp | None:
    """Return the version of a plain file; None if the file is gone or not plain. Other errors concern the folder."""
    try:
        return _stamp(os.lstat(path))
    except FileNotFoundError:
        return None


def identity_of(place: Place) -> tuple[int, int]:
    """Return the identity of a folder on this computer."""
    found = os.fstat(place) if isinstance(place, int) else place.stat()
    return found.st_dev, found.st_ino


def stamp_in(place: Place, name: str) -> Stamp | None:
    """Return the version of a plain file in a folder, as `stamp_of` does."""
    if isinstance(place, Path):
        return stamp_of(place / name)
    try:
        return _stamp(os.stat(name, dir_fd=place, follow_symlinks=False))
    except FileNotFoundError:
        return None


def stamps_in(place: Place, names: Iterable[str]) -> dict[str, Stamp]:
    """Return the versions of those names that are plain files in a folder."""
    found = {name: stamp_in(place, name) for name in names}
    return {name: stamp for name, stamp in found.items() if stamp is not None}


def _stamp(found: os.stat_result) -> Stamp | None:
    if not stat.S_ISREG(found.st_mode):
        return None
    return Stamp(found.st_mtime_ns, found.st_size)


NaturalKey = tuple[tuple[int, int, str], ...]


def natural(name: str) -> NaturalKey:
    """Return a key that orders names with numbers as numbers.

    >>> sorted(["part10.png", "part9.png", "part09.png"], key=natural)
    ['part9.png', 'part09.png', 'part10.png']
    """
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple(
        (0, int(part), "") if part[0] in digits else (1, 0, part)
        for part in parts
    )


def _kind_of(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return "link"
    if entry.is_dir(follow_symlinks=False):
        return "folder"
    if is_picture(entry.name):
        return "special file"
    return _suffix(entry.name) or "file without a suffix"


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - a Path for each name takes longer than the listing
