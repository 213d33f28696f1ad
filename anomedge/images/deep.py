"""Decode pictures of 9 to 16 bits per channel, and map their levels to 8 bits.

Pillow keeps the 16 bits of a grey picture and drops the lower half of a colour picture, so colour is decoded by OpenCV,
which the extra `camera` installs. Pillow decodes it first, because OpenCV fills a damaged picture up without an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from anomedge.errors import InputError
from anomedge.extras import install_advice
from anomedge.resample.levels import Levels, suggested_levels

__all__ = ["read_deep", "refuse_deep"]

_MOST_BITS = 16
_UPRIGHT, _ORIENTATION = 1, 0x0112

Deep = npt.NDArray[np.uint16]


def read_deep(
    image: Image.Image, path: Path, file: BinaryIO, bits: int, levels: Levels
) -> npt.NDArray[np.uint8]:
    """Return an opened picture of more than 8 bits per channel as a frame, uint8 (H, W, 3).

    Raises:
        InputError: more than 16 bits, colour without OpenCV, or colour that EXIF turns.
    """
    values = levels.apply(_decoded(image, path, file, bits))
    if values.ndim == 2:
        return np.repeat(values[:, :, None], 3, axis=2)
    return values


def refuse_deep(
    image: Image.Image, path: Path, file: BinaryIO, bits: int
) -> InputError:
    """Return the error for a picture of more than 8 bits per channel without levels; it states the range of values."""
    try:
        values = _decoded(image, path, file, bits)
    except InputError as error:
        return error
    low, high = int(values.min()), int(values.max())
    advice = suggested_levels(high)
    return InputError(
        f"{path}: got {bits} bits a channel, values {low} to {high}; expected 8 bits a channel: fit with --levels LOW HIGH, "
        f"such as --levels {advice.low} {advice.high}, or convert the pictures"
    )


def _decoded(image: Image.Image, path: Path, file: BinaryIO, bits: int) -> Deep:
    """Return the values (H, W) or (H, W, 3), upright."""
    if bits > _MOST_BITS:
        raise InputError(
            f"{path}: got {bits} bits a channel; expected 8 bits a channel, or up to 16 with levels: convert it"
        )
    image.load()
    if image.mode == "I" or image.mode.startswith("I;16"):
        upright = ImageOps.exif_transpose(image)
        return np.asarray(upright).astype(np.uint16)
    if image.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT:
        raise InputError(
            f"{path}: got {bits} bits a channel in colour, turned by EXIF; expected it upright: save it without EXIF"
        )
    return _colour(path, file, bits)


def _colour(path: Path, file: BinaryIO, bits: int) -> Deep:
    try:
        import cv2
    except ImportError as error:
        raise InputError(
            f"{path}: got {bits} bits a channel in colour, which OpenCV reads ({error}); expected it to be installed: "
            f"{install_advice('camera')}"
        ) from error
    file.seek(0)
    content = np.frombuffer(file.read(), dtype=np.uint8)
    values = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16:
        raise InputError(
            f"{path}: got {bits} bits a channel in a form that OpenCV does not decode to 16; convert it to PNG or TIFF"
        )
    if values.ndim == 2:
        return np.asarray(values)
    # OpenCV gives BGR or BGRA; alpha is dropped.
    return np.ascontiguousarray(values[..., 2::-1])
