r"""The stream of GStreamer's `multipartmux`: each frame follows a header that states its size.

::

    --anomedge\r\n
    Content-Type: video/x-raw\r\n
    Content-Length: 921600\r\n
    \r\n
    (bytes of the frame)\r\n

A frame of another size than the caps state is therefore noticed, and the next frame is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from anomedge.station.sources._connection import Disconnected
from anomedge.station.sources._raw_frames import read_into

__all__ = ["BOUNDARY", "parts"]

BOUNDARY = "anomedge"
_LONGEST_LINE = 200
_LARGEST = 1 << 30
"""Largest part, in bytes."""


def parts(file: BinaryIO) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the content of each part until the file ends; the last one may be cut short.

    Raises:
        Disconnected: the stream has another form.
    """
    while (size := _next_size(file)) is not None:
        content: npt.NDArray[np.uint8] = np.empty(size, np.uint8)
        got = read_into(file, content)
        yield content[:got]


def _next_size(file: BinaryIO) -> int | None:
    """Read the header of a part; return the size of the part, None at the end of the file."""
    line = _line(file)
    while line == b"\r\n":
        line = _line(file)
    if not line:
        return None
    if line.strip() != f"--{BOUNDARY}".encode():
        raise Disconnected(f"got {line!r} in place of a frame's boundary")
    size = None
    while line not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            size = _number(value)
        line = _line(file)
    return size


def _line(file: BinaryIO) -> bytes:
    return file.readline(_LONGEST_LINE)


def _number(value: bytes) -> int:
    text = value.strip()
    if not text.isdigit() or int(text) > _LARGEST:
        raise Disconnected(f"got a frame of {value!r} bytes")
    return int(text)
