"""Resize of a picture to the model's image outside the graph, for bundles that take pictures of any size.

The weights are those of torch's antialiased bilinear resize, computed in float32 as torch computes them: the eager
detector is fitted on torch's pixels, and a network can amplify the distance of float32 weights from the definition
(`anomedge.resample.bilinear`), up to 4e-5, a hundred times. Nothing is rounded to whole grey levels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from anomedge.resample import LARGEST_SIDE, Geometry, check_frame

__all__ = [
    "Framing",
    "OutsideResize",
    "Windows",
    "generated_size",
    "stated_size",
    "torch_windows",
]

Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Windows:
    """Weights of a resize along one axis: output i is `weights[i] @ x[first[i]:last[i]]`.

    Attributes:
        first, last: int64 (n_out,), the part of the source that an output pixel reads.
        weights: float32 (n_out, k), k being the widest part; zero beyond a part.
    """

    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    weights: Pixels

    def crop(self, count: int) -> Windows:
        """Return the `count` central outputs, as torchvision's `center_crop`."""
        start = round((len(self.first) - count) / 2)
        part = slice(start, start + count)
        return Windows(self.first[part], self.last[part], self.weights[part])

    def apply(self, lines: npt.NDArray[np.generic]) -> Pixels:
        """Resize lines (n_in, m) to float32 (n_out, m).

        Only the lines of one output are converted to float32 at a time, so that a large picture takes little memory.
        """
        resized = np.empty((len(self.first), lines.shape[1]), np.float32)
        spans = zip(self.first, self.last, self.weights, strict=True)
        for out, (first, last, weights) in enumerate(spans):
            part = lines[first:last].astype(np.float32)
            np.matmul(weights[: last - first], part, out=resized[out])
        return resized


@lru_cache(maxsize=32)
def torch_windows(n_in: int, n_out: int) -> Windows:
    """Return the weights of torch's antialiased bilinear resize, equal to torch's in every bit.

    Source: `_compute_indices_min_size_weights_aa` in ATen/native/cpu/UpSampleKernel.cpp of PyTorch 2.9; each operation
    has the precision that it has there.

    >>> torch_windows(4, 2).weights.tolist()[0]
    [0.4285714328289032, 0.4285714328289032, 0.1428571492433548]
    """
    scale = np.float32(n_in) / np.float32(n_out)
    support = max(scale, np.float32(1))
    centre = (scale * (np.arange(n_out) + 0.5)).astype(np.float32)
    lowest = (centre - support).astype(np.float64) + 0.5
    highest = (centre + support).astype(np.float64) + 0.5
    first = np.maximum(lowest.astype(np.int64), 0)
    last = np.minimum(highest.astype(np.int64), n_in)
    last = np.minimum(last, first + 2 * math.ceil(support) + 1)
    source = first[:, None] + np.arange(int((last - first).max()))
    offset = (source.astype(np.float32) - centre[:, None]).astype(np.float64)
    shrink = np.float32(1) / support
    distance = np.abs(((offset + 0.5) * shrink).astype(np.float32))
    weights = np.maximum(np.float32(1) - distance, np.float32(0))
    weights[source >= last[:, None]] = 0
    total = np.cumsum(weights, axis=1, dtype=np.float32)[:, -1:]
    return Windows(first, last, (weights / total).astype(np.float32))


@dataclass(frozen=True)
class OutsideResize:
    """Conversion of a picture of any size to the input of a graph without a resize.

    Args:
        geometry: size and crop of the model's image.

    Example:
        >>> resize = OutsideResize(Geometry((2, 2)))
        >>> resize.apply(np.full((5, 7, 3), 200, np.uint8)).shape
        (2, 2, 3)
    """

    geometry: Geometry

    @property
    def frame(self) -> tuple[int, int]:
        """Height and width of the graph's input."""
        return self.geometry.image

    def apply(self, picture: npt.NDArray[np.uint8]) -> Pixels:
        """Resize and crop a picture, or its region, uint8 (H, W, 3), to grey levels, float32 (h, w, 3) in 0..255, not rounded.

        Raises:
            InputError: a side longer than `anomedge.resample.LARGEST_SIDE`, or empty.
        """
        check_frame(picture.shape[:2])
        top, left, bottom, right = self.geometry.box(picture.shape[:2])
        part = picture[top:bottom, left:right]
        height, width, channels = part.shape
        size, (h, w) = self.geometry.size, self.geometry.image
        rows = torch_windows(height, size[0]).crop(h)
        columns = torch_windows(width, size[1]).crop(w)
        lines = rows.apply(part.reshape(height, width * channels))
        lines = lines.reshape(h, width, channels).transpose(1, 0, 2)
        turned = columns.apply(lines.reshape(width, h * channels))
        turned = turned.reshape(w, h, channels).transpose(1, 0, 2)
        return np.ascontiguousarray(turned)


Framing = tuple[int, int] | OutsideResize
"""How a picture becomes the input of a graph: a frame of this (height, width), or a resize outside the graph."""


def stated_size(framing: Framing) -> tuple[int, int] | None:
    """Return the size that pictures must have, (height, width); None for any."""
    return None if isinstance(framing, OutsideResize) else framing


def generated_size(framing: Framing) -> tuple[int, int]:
    """Return the size of generated pictures, (height, width).

    Where pictures may have any size, it is one and a half times the model's, so that a proof resizes them, too.

    >>> generated_size((480, 640)), generated_size(OutsideResize(Geometry((64, 65))))
    ((480, 640), (96, 97))
    """
    if not isinstance(framing, OutsideResize):
        return framing
    height, width = framing.geometry.size
    return (
        min(height * 3 // 2, LARGEST_SIDE),
        min(width * 3 // 2, LARGEST_SIDE),
    )
