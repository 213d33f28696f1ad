"""The end of a zip file: position and number of the entries of its directory.

Format: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.14 to 4.3.16. Only files without a comment and in one piece are
accepted, which is all that torch writes, so that the end is at one position and no search is needed.
"""

import struct
from typing import BinaryIO, NamedTuple

from anomedge.files import size_of
from anomedge.interop.archive.limits import (
    LARGEST_DIRECTORY,
    MOST_MEMBERS,
    Refused,
)

__all__ = ["Directory", "find_directory", "read_at"]

_END = struct.Struct("<IHHHHIIH")
_END_64 = struct.Struct("<IQHHIIQQQQ")
_LOCATOR = struct.Struct("<IIQI")
_SIGNATURE, _SIGNATURE_64, _SIGNATURE_LOCATOR = (
    0x06054B50, 0x06064B50, 0x07064B50,
)  # fmt: skip
_UNSTATED = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
_REST_OF_END_64 = _END_64.size - 12


class Directory(NamedTuple):
    """Position and size in bytes of the directory, and the number of its entries."""

    start: int
    size: int
    entries: int


def read_at(file: BinaryIO, position: int, count: int) -> bytes:
    """Return `count` bytes at a position.

    Raises:
        Refused: the file ends before.
    """
    file.seek(position)
    content = file.read(count)
    if len(content) != count:
        raise Refused(
            f"it ends at byte {position + len(content)}; expected {count} bytes at {position}"
        )
    return content


def find_directory(file: BinaryIO) -> Directory:
    """Return the position of the directory, checked against the file's size.

    Raises:
        Refused: there is none, it is not directly before the end, or it states more entries than allowed.
    """
    size = size_of(file)
    end = size - _END.size
    if end < 0:
        raise Refused(f"got {size} bytes; expected a zip file")
    signature, disk, first, here, entries, length, start, comment = _END.unpack(
        read_at(file, end, _END.size)
    )
    if signature != _SIGNATURE or comment:
        raise Refused(
            "no zip directory at its end, so it is cut off, has bytes appended, or is no zip file"
        )
    if disk or first or here != entries:
        raise Refused("it is one part of a zip file in several parts")
    stated = Directory(start, length, entries)
    found, end = _with_zip64(file, end, stated)
    _check(found, end)
    return found


def _with_zip64(
    file: BinaryIO, end: int, stated: Directory
) -> tuple[Directory, int]:
    """Return the directory by the zip64 end, if there is one, and where the ends begin."""
    at = end - _LOCATOR.size
    if at < 0:
        return stated, end
    signature, disk, where, disks = _LOCATOR.unpack(
        read_at(file, at, _LOCATOR.size)
    )
    if signature != _SIGNATURE_LOCATOR:
        return stated, end
    if disk or disks != 1 or where != at - _END_64.size:
        raise Refused(
            f"its zip64 locator points to byte {where}; expected {at - _END_64.size}"
        )
    found = _zip64_end(read_at(file, where, _END_64.size))
    for small, large, unstated in zip(
        (stated.entries, stated.size, stated.start),
        (found.entries, found.size, found.start),
        _UNSTATED[1:],
        strict=True,
    ):
        if small not in (large, unstated):
            raise Refused(f"its two zip ends disagree: got {small} and {large}")
    return found, where


def _zip64_end(content: bytes) -> Directory:
    signature, rest, _, _, disk, first, here, entries, length, start = (
        _END_64.unpack(content)
    )
    if signature != _SIGNATURE_64 or rest != _REST_OF_END_64:
        raise Refused("its zip64 end is damaged")
    if disk or first or here != entries:
        raise Refused("it is one part of a zip file in several parts")
    return Directory(start, length, entries)


def _check(found: Directory, end: int) -> None:
    if found.start + found.size != end:
        raise Refused(
            f"its zip directory lies at bytes {found.start} to {found.start + found.size}; expected its end at {end}"
        )
    if found.entries > MOST_MEMBERS or found.size > LARGEST_DIRECTORY:
        raise Refused(
            f"got {found.entries} members in a directory of {found.size} bytes; "
            f"expected at most {MOST_MEMBERS} in {LARGEST_DIRECTORY}"
        )
