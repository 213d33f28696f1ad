"""The files of a folder: pictures with the version of each, and other entries with their kind."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from string import digits
from typing import NamedTuple

from anomedge.images import SUFFIXES

__all__ = [
    "FolderListing",
    "NaturalKey",
    "Stamp",
    "is_hidden",
    "is_picture",
    "list_folder",
    "natural",
    "stamp_of",
]


class Stamp(NamedTuple):
    """Version of a file. Inode numbers are left out because network drives renumber them."""

    mtime: int
    size: int


class FolderListing(NamedTuple):
    """Entries of a folder: pictures by name, and the kinds of all others by name. Hidden names are in neither."""

    pictures: dict[str, Stamp]
    others: dict[str, str]


def list_folder(folder: Path) -> FolderListing:
    """List a folder.

    While files come and go, the system may leave out a file that was in the folder all the time.

    Raises:
        OSError: the folder cannot be listed.
    """
    found = FolderListing({}, {})
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            stamp = stamp_of(entry.path) if is_picture(entry.name) else None
            if stamp is not None:
                found.pictures[entry.name] = stamp
            else:
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
        found = os.lstat(path)
    except FileNotFoundError:
        return None
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
