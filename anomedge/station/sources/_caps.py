"""The caps at the end of a GStreamer pipeline: size and pixel format of its frames.

GStreamer pads the rows of these formats to a multiple of 4 bytes.
"""

from __future__ import annotations

import re

from anomedge.errors import InputError
from anomedge.resample.levels import Levels
from anomedge.station.sources._pixel_format import PIXEL_FORMATS, RawFormat

__all__ = ["frame_of_caps"]

_ROW_ALIGNMENT = 4
_RAW = {
    "RGB": "rgb",
    "BGR": "bgr",
    "GRAY8": "grey",
    "GRAY10_LE16": "mono10",
    "GRAY16_LE": "mono16",
    "GRAY16_BE": "mono16be",
}
"""Pixel formats by their names in `video/x-raw`."""
_NUMBER = re.compile(r"[0-9]{1,6}", re.ASCII)


def frame_of_caps(caps: str, levels: Levels | None) -> RawFormat:
    """Return the format of the frames that caps state.

    Raises:
        InputError: the caps do not state one size and a known format, or the levels do not suit its depth.

    >>> str(frame_of_caps("video/x-raw, format=(string)GRAY8,width=4,height=2", None))
    '4x2 grey'
    """
    kind, *fields = [part.strip() for part in caps.split(",")]
    stated = dict(_field(each) for each in fields)
    width, height = stated.get("width", ""), stated.get("height", "")
    name = _name(kind, stated.get("format", ""))
    sizes = _NUMBER.fullmatch(width) and _NUMBER.fullmatch(height)
    if name is None or not sizes:
        raise InputError(
            f"got a pipeline that ends with {caps or 'nothing'}; expected caps with format, width and height at its end, such "
            f"as video/x-raw,format=RGB,width=640,height=480, with one of the formats {', '.join(_RAW)}, or video/x-bayer "
            f"with rggb, bggr, grbg or gbrg"
        )
    pixels = PIXEL_FORMATS[name]
    return RawFormat(int(width), int(height), pixels, levels, _ROW_ALIGNMENT)


def _field(text: str) -> tuple[str, str]:
    """Return name and value of a field, without the type of the value."""
    name, _, value = text.partition("=")
    bare = re.sub(r"^\s*\([a-z]+\)", "", value)
    return name.strip(), bare.strip().strip('"')


def _name(kind: str, form: str) -> str | None:
    """Return the name of a pixel format; None if it is unknown. Words of Bayer mosaics end in `le`."""
    if kind == "video/x-raw":
        return _RAW.get(form)
    name = f"bayer_{form.removesuffix('le')}"
    known = name in PIXEL_FORMATS
    return name if kind == "video/x-bayer" and known else None
