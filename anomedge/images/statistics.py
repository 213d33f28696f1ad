"""Brightness, contrast and sharpness of a frame, from a grid of its pixels."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomedge.images.reading import Frame

__all__ = ["ImageStatistics", "image_statistics"]

_POINTS = 4096
"""Largest number of pixels of the grid, so that a large frame costs as much as a small one."""
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue in the luminance (ITU-R BT.601)."""


class ImageStatistics(NamedTuple):
    """Statistics of a frame's luminance, in units of its values 0 to 255.

    Attributes:
        brightness: mean.
        contrast: standard deviation.
        sharpness: variance of the Laplacian.
    """

    brightness: float
    contrast: float
    sharpness: float


def image_statistics(frame: Frame) -> ImageStatistics:
    """Measure a frame, uint8 (H, W, 3).

    With the luminance Y, the Laplacian of a pixel is::

        L(y, x) = Y(y-1, x) + Y(y+1, x) + Y(y, x-1) + Y(y, x+1) - 4 Y(y, x)

    Its variance falls with defocus and motion blur (Pech-Pacheco et al., "Diatom autofocusing in brightfield
    microscopy", ICPR 2000). Both steps of the grid are equal, the neighbours are those of the full frame.

    >>> image_statistics(np.full((8, 8, 3), 100, np.uint8))
    ImageStatistics(brightness=100.0, contrast=0.0, sharpness=0.0)
    """
    height, width = frame.shape[:2]
    if min(height, width) < 3:
        return _statistics(_luminance(frame), np.zeros(1, np.float32))
    step = max(1, math.ceil(math.sqrt(height * width / _POINTS)))
    rows, columns = range(1, height - 1, step), range(1, width - 1, step)

    def moved(down: int, right: int) -> Frame:
        top, left = rows.start + down, columns.start + right
        part = frame[top : rows.stop + down : step]
        return part[:, left : columns.stop + right : step]

    centre = moved(0, 0).astype(np.int16)
    laplacian = -4 * centre
    for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        laplacian += moved(down, right)
    return _statistics(_luminance(centre), _luminance(laplacian))


def _luminance(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Return the luminance (N,) of values (H, W, 3)."""
    return values.reshape(-1, 3).astype(np.float32) @ _LUMA


def _statistics(
    luminance: npt.NDArray[np.float32], laplacian: npt.NDArray[np.float32]
) -> ImageStatistics:
    return ImageStatistics(
        round(float(luminance.mean(dtype=np.float64)), 4),
        round(float(luminance.std(dtype=np.float64)), 4),
        round(float(laplacian.var(dtype=np.float64)), 4),
    )
