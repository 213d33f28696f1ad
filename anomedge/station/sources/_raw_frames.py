"""Raw frames that are read from a file or pipe."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from anomedge.errors import InputError
from anomedge.station.sources._connection import Shot
from anomedge.station.sources._pixel_format import RawFormat
from anomedge.station.sources.base import CapturedFrame, UnusableFrame

__all__ = ["read_into", "shot_of"]


def read_into(file: Any, content: npt.NDArray[np.uint8]) -> int:
    """Read from a binary file until `content` is full or the file ends; return the number of bytes."""
    view = content.data
    got = 0
    while got < len(view):
        count = file.readinto(view[got:])
        if not count:
            break
        got += count
    return got


def shot_of(
    frame: RawFormat, content: npt.NDArray[np.uint8], number: int, title: str
) -> Shot:
    """Return a frame from its bytes; an unusable one if there are too few or too many, or a value is too large."""
    name = f"{title}#{number}"
    if len(content) != frame.size:
        return UnusableFrame(
            number,
            name,
            f"{name}: got {len(content)} bytes; expected {frame.size} of {frame}: check the size and the format, or the "
            f"program ended within a frame",
        )
    try:
        return CapturedFrame(number, name, frame.decode(content))
    except InputError as error:
        return UnusableFrame(number, name, f"{name}: {error}")
