"""Decode a picture file to a frame; fitting, proof and inspection all use this function.

A frame is RGB, uint8 (H, W, 3). EXIF rotation is applied; grey pictures are repeated to three channels, palette
pictures are looked up, an alpha channel is dropped, and CMYK is converted by Pillow. Refused, because they need a
choice by the user: more than 8 bits per channel without levels, several frames in one file, and more pixels than a
frame may have.
Damaged pixels are refused. Metadata that Pillow cannot parse are ignored; no rotation is then applied.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from anomedge.errors import InputError
from anomedge.files import open_plain
from anomedge.images.checks import (
    bits_per_channel,
    check_stated_size,
    refuse_many_scans,
    refuse_too_large,
)
from anomedge.images.deep import read_deep, refuse_deep
from anomedge.resample.levels import Levels

__all__ = [
    "EIGHT_BIT_MODES",
    "SUFFIXES",
    "Frame",
    "Mask",
    "check_picture",
    "decoded",
    "open_picture",
    "read_picture",
    "stretch",
]

Frame = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

SUFFIXES = frozenset(
    {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)
# The only readers that Pillow may use, whatever the suffix: its EPS reader starts another program.
_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
_MOST_FRAMES = 100
"""Largest number of frames counted in one file; a TIFF may list any number, and counting takes 1 ms per frame."""
EIGHT_BIT_MODES = frozenset(
    {
        "1",
        "L",
        "LA",
        "P",
        "PA",
        "RGB",
        "RGBA",
        "RGBX",
        "CMYK",
        "YCbCr",
        "HSV",
        "LAB",
    }
)


def read_picture(
    path: Path,
    content: bytes | None = None,
    *,
    size: tuple[int, int] | None = None,
    levels: Levels | None = None,
) -> Frame:
    """Read a picture as RGB, uint8 (H, W, 3); `content` replaces reading the file.

    With `size`, a file whose header states another height and width, in either orientation, is refused undecoded.
    With `levels`, the file has 9 to 16 bits per channel, and the levels are mapped to 0..255.

    Raises:
        InputError: the file is missing, not a plain file (a pipe, a device), truncated, not a picture, animated, too
            large, of another size than `size`, a JPEG of more than 200 scans, or has more than 8 bits per channel
            without levels, or 8 with levels.
    """
    with open_picture(path, content) as (image, file):
        if size is not None:
            check_stated_size(image, path, size)
        return decoded(image, path, file, levels)


def decoded(
    image: Image.Image,
    path: Path,
    file: BinaryIO,
    levels: Levels | None = None,
) -> Frame:
    """Return the frame of a picture that `open_picture` opened, as `read_picture`.

    Raises:
        InputError: as `read_picture`.
    """
    depth = _checked_depth(image, path, file, levels)
    if depth > 8 and levels is not None:
        return read_deep(image, path, file, depth, levels)
    return _rgb(image)


def check_picture(path: Path, levels: Levels | None = None) -> None:
    """Refuse the pictures that `read_picture` refuses, in less time where the format allows.

    A PNG's checksums are compared, without decompression; a JPEG is decoded at an eighth of its size. Other formats are
    decoded.

    Raises:
        InputError: as `read_picture`.
    """
    with open_picture(path) as (image, file):
        depth = _checked_depth(image, path, file, levels)
        if image.format == "PNG":
            image.verify()
        elif depth > 8 and levels is not None:
            read_deep(image, path, file, depth, levels)
        else:
            image.draft(image.mode, (image.width // 8, image.height // 8))
            image.load()


@contextmanager
def open_picture(
    path: Path, content: bytes | None = None, *, header: bool = False
) -> Iterator[tuple[Image.Image, BinaryIO]]:
    """Open a picture file, undecoded, and the file that it is read from; translate the errors of its decoder.

    With `header`, the picture must not be decoded: the scans of a JPEG, which take a pass over the file, are not counted.

    Raises:
        InputError: as `read_picture`.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns from half of its limit; `refuse_too_large` has the limit of frames.
            warnings.simplefilter("ignore")
            with _opened(path, content) as file:
                if not header:
                    refuse_many_scans(file, path)
                with Image.open(file, formats=_FORMATS) as image:
                    refuse_too_large(image, path)
                    yield image, file
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{path}: got {error}; expected a camera picture: scale it down"
        ) from error
    except InputError:
        raise
    except Exception as error:  # decoders raise errors of any type
        raise InputError(
            f"{path}: cannot be read as a picture ({error}); give a whole PNG, JPEG, BMP, TIFF or WebP"
        ) from error


def stretch(frame: Frame, size: tuple[int, int]) -> Frame:
    """Return the frame in `size` (height, width), resized by Pillow (bilinear, antialiased) if it differs."""
    if frame.shape[:2] == size:
        return frame
    height, width = size
    return np.asarray(
        Image.fromarray(frame).resize(
            (width, height), Image.Resampling.BILINEAR
        )
    )


@contextmanager
def _opened(path: Path, content: bytes | None) -> Iterator[BinaryIO]:
    """Open a plain file, or `content` if given; refuse a pipe or device without blocking."""
    if content is not None:
        yield io.BytesIO(content)
        return
    with open_plain(path) as file:
        yield file


def _checked_depth(
    image: Image.Image, path: Path, file: BinaryIO, levels: Levels | None
) -> int:
    """Return the bits per channel; refuse several frames, and a depth that does not suit the levels."""
    if (frames := _count_frames(image)) > 1:
        shown = f"{frames}" if frames < _MOST_FRAMES else f"{frames} or more"
        raise InputError(
            f"{path}: got {shown} frames in one file; expected one: save the frame you mean"
        )
    depth = bits_per_channel(image, file)
    if depth > 8 and levels is None:
        raise refuse_deep(image, path, file, depth)
    if depth > 8:
        return depth
    if levels is not None:
        raise InputError(
            f"{path}: got 8 bits a channel or less; expected 9 to 16, which the model's levels {levels.low} to {levels.high} "
            f"are for: give pictures as the model was fitted on, or fit without --levels"
        )
    if image.mode not in EIGHT_BIT_MODES:
        raise InputError(
            f"{path}: got mode {image.mode}; expected 8 bits a channel: convert it the way you want it"
        )
    return depth


def _rgb(image: Image.Image) -> Frame:
    upright = ImageOps.exif_transpose(image)
    return np.asarray(upright.convert("RGB"))


def _count_frames(image: Image.Image) -> int:
    """Count the frames of a file, up to `_MOST_FRAMES`: Pillow reads the frames of a TIFF one after another."""
    if image.format != "TIFF":
        return int(getattr(image, "n_frames", 1))
    count = 1
    while count < _MOST_FRAMES and _has_frame(image, count):
        count += 1
    return count


def _has_frame(image: Image.Image, place: int) -> bool:
    try:
        image.seek(place)
    except EOFError:
        return False
    return True
