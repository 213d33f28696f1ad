"""Checks of a picture file before it is decoded, because decoding may take minutes or much memory.

Each scan of a progressive JPEG is a pass over the whole picture: 6,000 scans fit into 1 MB and take 45 s.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from anomedge.errors import InputError
from anomedge.resample import LARGEST_PIXELS, LARGEST_SIDE

__all__ = [
    "Size",
    "bits_per_channel",
    "check_stated_size",
    "next_marker",
    "refuse_many_scans",
    "refuse_too_large",
    "upright_size",
    "wrong_size",
]

Size = tuple[int, int]
"""Height and width, in pixels."""

_MOST_SCANS = 200
"""Encoders write about 10 scans."""
_MOST_SEGMENTS = 20_000
_BLOCK = 1 << 16
_START = b"\xff\xd8"
_MARKER = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")
"""Any marker but restarts, which stand within a scan, and the reserved FF 01; FF 00 is a data byte."""
_END, _SCAN = 0xD9, 0xDA
_ORIENTATION, _FIRST_TURNED = 0x0112, 5


def refuse_many_scans(file: BinaryIO, path: Path) -> None:
    """Count the scans of a JPEG file without decoding it; leave the file at its beginning. Other formats pass.

    Raises:
        InputError: the file has more than 200 scans, or more than 20,000 segments.
    """
    file.seek(0)
    scans = segments = 0
    if file.read(2) == _START:
        while (marker := next_marker(file)) not in (None, _END):
            scans += marker == _SCAN
            segments += 1
            if scans > _MOST_SCANS or segments > _MOST_SEGMENTS:
                raise InputError(
                    f"{path}: got a JPEG of more than {_MOST_SCANS} scans or {_MOST_SEGMENTS:,} segments; "
                    "expected a camera picture: save it again"
                )
    file.seek(0)


def refuse_too_large(image: Image.Image, path: Path) -> None:
    """Refuse a picture by the size that its header states, before memory is allocated for it.

    Raises:
        InputError: a side, or the number of pixels, is larger than that of any frame.
    """
    width, height = image.size
    if max(image.size) > LARGEST_SIDE or width * height > LARGEST_PIXELS:
        raise InputError(
            f"{path}: got {height}x{width}; expected sides of at most {LARGEST_SIDE} and at most {LARGEST_PIXELS:,} "
            f"pixels, as of a frame: scale it down"
        )


def check_stated_size(image: Image.Image, path: Path, expected: Size) -> None:
    """Refuse a picture if its header states another size in both orientations; EXIF may rotate it.

    Raises:
        InputError: the size is another one.
    """
    width, height = image.size
    if expected in {(height, width), (width, height)}:
        return
    raise wrong_size(path, upright_size(image), expected)


def upright_size(image: Image.Image) -> Size:
    """Return the size that a picture's header states, after the rotation that its EXIF asks for."""
    width, height = image.size
    # For a PNG, Pillow decodes all pixels to find metadata that follow them.
    known = image.format != "PNG" or "exif" in image.info
    turned = known and image.getexif().get(_ORIENTATION, 1) >= _FIRST_TURNED
    return (width, height) if turned else (height, width)


def wrong_size(path: Path | str, got: Size, expected: Size) -> InputError:
    """Return the error for a picture whose size differs from the bundle's frame."""
    given, wanted = "x".join(map(str, got)), "x".join(map(str, expected))
    return InputError(
        f"{path}: got {given}; expected {wanted}, the bundle's frame: export with --frame {given}, or --frame any for "
        f"pictures of several sizes"
    )


def bits_per_channel(image: Image.Image, file: BinaryIO) -> int:
    """Return the bits per channel in the file; Pillow opens 16-bit colour as 8-bit."""
    if image.format == "PNG":
        place = file.tell()
        file.seek(24)
        # The bit depth is in the header chunk, which every PNG has.
        depth = file.read(1)[0]
        file.seek(place)
        return depth
    if image.format == "TIFF":
        depth = image.getexif().get(258, 8)
        return int(max(depth)) if isinstance(depth, tuple) else int(depth)
    return 8


def next_marker(file: BinaryIO) -> int | None:
    """Find a JPEG's next marker as libjpeg does and skip its segment; None at the end of the file."""
    while block := file.read(_BLOCK):
        found = _MARKER.search(block)
        if found is not None:
            file.seek(found.end() - len(block), 1)
            marker = block[found.end() - 1]
            if marker not in (_START[1], _END):
                length = int.from_bytes(file.read(2), "big")
                file.seek(max(length, 2) - 2, 1)
            return marker
        if block.endswith(b"\xff") and len(block) > 1:
            file.seek(-1, 1)  # the marker's second byte lies in the next block
    return None
