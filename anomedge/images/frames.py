"""Convert values in memory to frames: arrays and Pillow images; other types are refused with a remedy."""

import numpy as np
from PIL import Image

from anomedge.errors import InputError
from anomedge.images import EIGHT_BIT_MODES, Frame
from anomedge.resample.levels import Levels

__all__ = ["as_frame", "has_colour"]


def as_frame(value: object, levels: Levels | None = None) -> Frame:
    """Convert an RGB array (H, W, 3), a grey array (H, W) or a Pillow image to a frame, uint8 (H, W, 3).

    With `levels`, values of 16 bits are mapped to 8; an array of uint8 is taken as it is.

    >>> as_frame(np.zeros((4, 6), np.uint8)).shape
    (4, 6, 3)

    Raises:
        InputError: another type, dtype or shape; the message states the conversion.
    """
    if isinstance(value, Image.Image):
        if levels is not None and value.mode.startswith("I;16"):
            return as_frame(np.asarray(value).astype(np.uint16), levels)
        if value.mode not in EIGHT_BIT_MODES:
            raise InputError(
                f"got a Pillow image of mode {value.mode}; expected 8 bits a channel: convert it first"
            )
        return np.asarray(value.convert("RGB"))
    if not isinstance(value, np.ndarray):
        raise InputError(
            f"got {_type_name(value)}; expected an uint8 array (H, W, 3), a Pillow image or a path{_remedy(value)}"
        )
    if levels is not None and value.dtype == np.uint16:
        value = levels.apply(value)
    if value.dtype != np.uint8:
        raise InputError(
            f"got a frame of {value.dtype}; expected uint8, 0 to 255: scale, round and convert it first"
        )
    if value.ndim == 2:
        return np.repeat(value[:, :, None], 3, axis=2)
    if value.ndim == 3 and value.shape[2] != 3 and value.shape[0] == 3:
        raise InputError(
            f"got a frame {value.shape}, channels first; expected (H, W, 3): give frame.transpose(1, 2, 0)"
        )
    if value.ndim != 3 or value.shape[2] != 3:
        raise InputError(
            f"got a frame {value.shape}; expected (H, W, 3) RGB or (H, W) grey"
        )
    return value


def _type_name(value: object) -> str:
    kind = type(value)
    return f"a {kind.__module__}.{kind.__qualname__}".replace("builtins.", "")


def _remedy(value: object) -> str:
    if type(value).__module__.partition(".")[0] == "torch":
        return ": give a uint8 tensor's .permute(1, 2, 0).cpu().numpy()"
    if isinstance(value, bytes):
        return (
            ": give os.fsdecode(path), or open an encoded picture with Pillow"
        )
    return ""


def has_colour(frame: Frame) -> bool:
    """Return True if the three channels of a frame differ anywhere.

    >>> has_colour(np.full((1, 1, 3), 7, np.uint8))
    False
    """
    return not bool((frame == frame[..., :1]).all())
