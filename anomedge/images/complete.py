"""Tell whether a picture file is written to its end, from its structure and without decoding it.

A program that writes slowly leaves files that look like pictures and lack their end: rows of a BMP or TIFF, scans of a
JPEG. Each format states its end in another way:

======  ====================================================================================================
PNG     the chunk IEND
JPEG    the marker EOI; that of the embedded thumbnail does not count
BMP     offset and size of the pixels, from the header; of a compressed file, the file size in the header
TIFF    the directories, and the data, strips and tiles that they point to, lie within the file
WebP    the size of the RIFF chunk
======  ====================================================================================================

A file that was allocated in its final size, and filled afterwards, has holes (ranges that were never written). They are
found where the file system tells of them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from anomedge.files import open_plain, size_of
from anomedge.images._tiff_end import end_of_tiff
from anomedge.images.checks import next_marker

__all__ = ["missing_part"]

_SMALLEST_HEADER = 12
"""Number of bytes that tell the format."""
_MOST_SEGMENTS = 20_000
"""Segments of a JPEG; `read_picture` refuses a file with more."""
_PNG_CHUNK = 12
"""Length, type and checksum of a chunk."""
_END_OF_JPEG = 0xD9
_CORE_HEADER = 12
"""Length of the BMP header of OS/2, which has sides of 16 bits."""
_UNCOMPRESSED = (0, 3, 6)
"""BMP compressions with rows of a fixed length: none, and the two with bit masks."""


def missing_part(path: Path) -> str | None:
    """Return the part of a picture file that is missing; None if it is complete or no picture of a known format.

    Raises:
        OSError: the file cannot be opened.
    """
    with open_plain(path) as file:
        size = size_of(file)
        head = file.read(_SMALLEST_HEADER)
        if size < _SMALLEST_HEADER and _may_begin_picture(head):
            return f"it has {size} bytes"
        if _has_hole(file, size):
            return "parts of it were never written"
        if not any(head):
            return "it begins with zeros"
        check = _check_of(head)
        return check(file, size) if check is not None else None


_Check = Callable[[BinaryIO, int], str | None]


def _check_of(head: bytes) -> _Check | None:
    """Return the check of a format by its first bytes."""
    if head.startswith(b"RIFF"):
        return _missing_of_webp if head[8:12] == b"WEBP" else None
    for magic, check in _CHECKS.items():
        if head.startswith(magic):
            return check
    return None


def _may_begin_picture(head: bytes) -> bool:
    """Return whether the first bytes, fewer than a header, may become those of a picture."""
    common = (min(len(head), len(magic)) for magic in _MAGICS)
    pairs = zip(_MAGICS, common, strict=True)
    return any(head[:count] == magic[:count] for magic, count in pairs)


def _has_hole(file: BinaryIO, size: int) -> bool:
    """Return whether the file system knows ranges of the file that were never written."""
    if not hasattr(os, "SEEK_HOLE"):
        return False
    try:
        return os.lseek(file.fileno(), 0, os.SEEK_HOLE) < size
    except OSError:
        return False
    finally:
        file.seek(0)


def _missing_of_png(file: BinaryIO, size: int) -> str | None:
    place = 8
    while place + _PNG_CHUNK <= size:
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        place += _PNG_CHUNK + length
        if kind == b"IEND" and place <= size:
            return None
    return "the last chunk (IEND) is missing"


def _missing_of_jpeg(file: BinaryIO, _: int) -> str | None:
    file.seek(0)
    for _ in range(_MOST_SEGMENTS):
        marker = next_marker(file)
        if marker is None:
            return "the end marker (EOI) is missing"
        if marker == _END_OF_JPEG:
            return None
    return None


def _missing_of_bmp(file: BinaryIO, size: int) -> str | None:
    file.seek(0)
    head = file.read(34)
    if len(head) < 26:
        return _cut(size, 26)
    file_size, pixels, header = struct.unpack("<2xI4xII", head[:18])
    if header != _CORE_HEADER and len(head) < 34:
        return _cut(size, 34)
    if header == _CORE_HEADER:
        width, height, bits = struct.unpack("<HH2xH", head[18:26])
        compression = 0
    else:
        width, height, bits, compression = struct.unpack("<ii2xHI", head[18:34])
    if compression not in _UNCOMPRESSED:
        return _cut(size, file_size)
    row = (width * bits + 31) // 32 * 4
    return _cut(size, pixels + row * abs(height))


def _missing_of_tiff(file: BinaryIO, size: int) -> str | None:
    return _cut(size, end_of_tiff(file, size))


def _missing_of_webp(file: BinaryIO, size: int) -> str | None:
    file.seek(4)
    (length,) = struct.unpack("<I", file.read(4))
    return _cut(size, 8 + length)


def _cut(size: int, needed: int) -> str | None:
    if size >= needed:
        return None
    return f"it has {size:,} of at least {needed:,} bytes"


_CHECKS: dict[bytes, _Check] = {
    b"\x89PNG\r\n\x1a\n": _missing_of_png,
    b"\xff\xd8": _missing_of_jpeg,
    b"BM": _missing_of_bmp,
    b"II*\0": _missing_of_tiff,
    b"MM\0*": _missing_of_tiff,
    b"II+\0": _missing_of_tiff,
    b"MM\0+": _missing_of_tiff,
}
"""Checks by the first bytes of a file; WebP stands behind the size of its RIFF chunk."""
_MAGICS = (*_CHECKS, b"RIFF")
