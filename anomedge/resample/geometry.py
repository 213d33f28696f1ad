r"""Linear resampling as constant matrices, exact in every runtime.

Resizing, cropping, upsampling and blurring an image :math:`x` of known size are
linear and separable,

.. math:: y = A\,x\,B^\top

with one small matrix for the rows and one for the columns; two steps are one
pair of products. The operator `Resize` has modes that runtimes implement
differently; a matrix product has none.

All functions return float64 arrays of shape (n_out, n_in). Rows sum to 1. `nearest`
returns indices. Coordinates follow `align_corners=False`: output pixel i covers
the source around (i + 1/2) n_in / n_out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomedge.errors import InputError
from anomedge.resample.frame_parts import Region, Tiling, whole_pixels

__all__ = [
    "LARGEST_PIXELS",
    "LARGEST_SIDE",
    "Geometry",
    "Matrix",
    "bands",
    "between_corners",
    "bicubic",
    "bilinear",
    "check_frame",
    "crop",
    "gaussian_blur",
    "gaussian_kernel",
    "nearest",
]

LARGEST_SIDE = 16384
"""Largest height or width of pictures, frames and images, in pixels."""

LARGEST_PIXELS = 178_956_970
"""Largest number of pixels of a picture or a frame, half a GiB in RGB.

It is the number above which Pillow refuses to decode a picture.
"""

Matrix = npt.NDArray[np.float64]
Kernel = Callable[[Matrix], Matrix]


def bilinear(n_in: int, n_out: int, *, antialias: bool = False) -> Matrix:
    """Interpolate linearly with the triangle kernel.

    With `antialias`, the kernel is widened by the reduction factor.

    Equals `torch.nn.functional.interpolate` with `mode="bilinear"` and
    `align_corners=False` along one axis.

    >>> bilinear(2, 4).tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    return _interpolate(n_in, n_out, _triangle, radius=1.0, antialias=antialias)


def between_corners(n_in: int, n_out: int) -> Matrix:
    """Interpolate linearly; the first and the last value keep their places.

    Equals `torch.nn.functional.interpolate` with `mode="bilinear"` and
    `align_corners=True` along one axis.

    >>> between_corners(2, 3).tolist()
    [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    """
    _check(n_in, n_out)
    source = np.linspace(0, n_in - 1, n_out)
    return _triangle(source[:, None] - np.arange(n_in))


def bicubic(n_in: int, n_out: int, *, antialias: bool = False) -> Matrix:
    """Interpolate by cubic convolution (Keys 1981).

    As in torch, a = -3/4, or a = -1/2 with `antialias`.

    >>> bicubic(4, 4).tolist() == np.eye(4).tolist()
    True
    """
    a = -0.5 if antialias else -0.75
    return _interpolate(
        n_in, n_out, lambda t: _keys(t, a), radius=2.0, antialias=antialias
    )


def nearest(n_in: int, n_out: int) -> npt.NDArray[np.int64]:
    """Return the source index of each output pixel, floor(i n_in / n_out).

    >>> nearest(2, 5).tolist()
    [0, 0, 0, 1, 1]
    """
    _check(n_in, n_out)
    return np.arange(n_out, dtype=np.int64) * n_in // n_out


def crop(n_in: int, n_out: int) -> Matrix:
    """Select the n_out central pixels, as torchvision's `center_crop`.

    >>> crop(5, 2).tolist()
    [[0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0]]

    Raises:
        InputError: n_out is larger than n_in.
    """
    _check(n_in, n_out)
    if n_out > n_in:
        raise InputError(
            f"got a crop of {n_out} out of {n_in} pixels; "
            f"expected at most {n_in}: enlarge --size"
        )
    start = round((n_in - n_out) / 2)
    return np.eye(n_in)[start : start + n_out]


def gaussian_kernel(kernel_size: int, sigma: float) -> Matrix:
    """Return exp(-t^2 / 2 sigma^2), normalised to sum 1; (kernel_size,).

    t is the distance from the middle, in pixels.

    Raises:
        InputError: an even size, or a sigma that is not positive.
    """
    if kernel_size < 1 or kernel_size % 2 == 0 or not sigma > 0:
        raise InputError(
            f"got kernel_size={kernel_size}, sigma={sigma}; "
            "expected an odd size and a positive sigma"
        )
    t = np.arange(kernel_size) - kernel_size // 2
    weights = np.exp(-0.5 * (t / sigma) ** 2)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def gaussian_blur(n: int, kernel_size: int, sigma: float) -> Matrix:
    """Convolve with `gaussian_kernel` after reflection at the borders.

    The border pixel is not repeated.

    Raises:
        InputError: the kernel reaches past the reflection, kernel_size // 2 >= n.
    """
    kernel, half = gaussian_kernel(kernel_size, sigma), kernel_size // 2
    if half >= n:
        raise InputError(
            f"got a blur of {kernel_size} pixels over {n}; "
            f"expected kernel_size // 2 < {n}: blur less"
        )
    matrix = np.zeros((n, n))
    for row in range(n):
        source = np.abs(np.arange(row - half, row + half + 1))
        source = np.where(source >= n, 2 * (n - 1) - source, source)
        np.add.at(matrix[row], source, kernel)
    return matrix


def bands(matrix: Matrix, block: int) -> tuple[npt.NDArray[np.int64], Matrix]:
    """Split a banded matrix into windows of the source and dense blocks.

    Rows i block to (i + 1) block of the product are `weights[i] @ x[indices[i]]`.
    K is the widest window; windows at the end are moved inwards, and the last
    block is padded with rows of zeros.

    Returns:
        Indices (n, K) and weights (n, block, K).

    >>> indices, weights = bands(bilinear(8, 4, antialias=True), 2)
    >>> indices.tolist(), weights.shape
    ([[0, 1, 2, 3, 4], [3, 4, 5, 6, 7]], (2, 2, 5))
    """
    count = -(-len(matrix) // block)
    rows = np.zeros((count * block, matrix.shape[1]))
    rows[: len(matrix)] = matrix
    blocks = rows.reshape(count, block, -1)
    used = (blocks != 0).any(axis=1)
    first = used.argmax(axis=1)
    last = matrix.shape[1] - 1 - used[:, ::-1].argmax(axis=1)
    width = int((last - first).max()) + 1
    start = np.minimum(first, matrix.shape[1] - width)
    indices = (start[:, None] + np.arange(width)).astype(np.int64)
    weights = np.take_along_axis(blocks, indices[:, None, :], axis=2)
    return indices, weights


def check_frame(frame: Sequence[int]) -> None:
    """Check the height and width of frames.

    Raises:
        InputError: not two numbers from 1 to `LARGEST_SIDE`, or more than
            `LARGEST_PIXELS` pixels.
    """
    if not _is_size(frame):
        raise InputError(
            f"got a frame of {frame}; expected height and width "
            f"between 1 and {LARGEST_SIDE}"
        )
    if frame[0] * frame[1] > LARGEST_PIXELS:
        raise InputError(
            f"got a frame of {frame}; expected at most {LARGEST_PIXELS:,} "
            "pixels, the most that a picture may have: give a smaller frame"
        )


def _is_size(pair: Sequence[int]) -> bool:
    return len(pair) == 2 and all(1 <= n <= LARGEST_SIDE for n in pair)


@dataclass(frozen=True)
class Geometry:
    """Resize of a frame to the image of the model; sizes are (height, width).

    The frame, or its `region`, is stretched to `size`, then the central `crop`
    is kept. Stretching does not keep the aspect ratio: all cameras need the
    same one. With a `tiling`, the detector runs on the tiles of the image.
    """

    size: tuple[int, int]
    crop: tuple[int, int] | None = None
    region: Region | None = None
    tiling: Tiling | None = None

    def __post_init__(self) -> None:
        """Check the sizes; raise InputError."""
        for name, pair in (("size", self.size), ("crop", self.image)):
            if not _is_size(pair):
                raise InputError(
                    f"got {name} {pair}; expected height and width "
                    f"between 1 and {LARGEST_SIDE} pixels"
                )
        if self.image[0] > self.size[0] or self.image[1] > self.size[1]:
            raise InputError(
                f"got a crop of {self.crop} out of {self.size}; "
                "expected a crop inside: enlarge --size"
            )
        if self.region is not None:
            Region(*self.region).check()
        if self.tiling is not None:
            self.tiling.check(self.image)

    @property
    def image(self) -> tuple[int, int]:
        """(height, width) of the image and of the anomaly map."""
        return self.crop or self.size

    @property
    def detector_input(self) -> tuple[int, int]:
        """(height, width) of the detector's input: a tile, or the image."""
        return self.image if self.tiling is None else self.tiling.tile

    @property
    def shared(self) -> int | None:
        """The least number of pixels that neighbouring tiles have in common; None without neighbours."""
        if self.tiling is None:
            return None
        return self.tiling.shared(self.image)

    def box(self, frame: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return (top, left, bottom, right) of the region, in frame pixels."""
        if self.region is None:
            return 0, 0, *frame
        return self.region.pixels(frame)

    def part(self, frame: tuple[int, int]) -> tuple[int, int]:
        """Return (height, width) of the region, in frame pixels."""
        top, left, bottom, right = self.box(frame)
        return bottom - top, right - left

    @property
    def pixels_seen(self) -> int:
        """Number of pixels that the detector sees, overlaps counted twice."""
        height, width = self.detector_input
        if self.tiling is None:
            return height * width
        rows, columns = self.tiling.grid(self.image)
        return rows * columns * height * width

    def matrices(self, frame: tuple[int, int]) -> tuple[Matrix, Matrix]:
        """Return A and B: region, antialiased bilinear resize, central crop."""
        part, begin = self.part(frame), self.box(frame)[:2]
        matrices = []
        for axis, (n_size, n_image) in enumerate(
            zip(self.size, self.image, strict=True)
        ):
            resize = bilinear(part[axis], n_size, antialias=True)
            matrix = np.zeros((n_image, frame[axis]))
            columns = slice(begin[axis], begin[axis] + part[axis])
            matrix[:, columns] = crop(n_size, n_image) @ resize
            matrices.append(matrix)
        return matrices[0], matrices[1]

    def window(
        self, frame: tuple[int, int]
    ) -> tuple[float, float, float, float]:
        """Return (top, left, bottom, right) of the image, in frame pixels."""
        edges = []
        for begin, n_part, n_size, n_image in zip(
            self.box(frame)[:2],
            self.part(frame),
            self.size,
            self.image,
            strict=True,
        ):
            start = round((n_size - n_image) / 2)
            stop = start + n_image
            edges.append(
                (
                    begin + start * n_part / n_size,
                    begin + stop * n_part / n_size,
                )
            )
        return edges[0][0], edges[1][0], edges[0][1], edges[1][1]

    def pixel_window(self, frame: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return `window` in whole pixels, at least one each way."""
        return whole_pixels(self.window(frame), frame)


def _check(n_in: int, n_out: int) -> None:
    if n_in < 1 or n_out < 1:
        raise InputError(
            f"got {n_in} -> {n_out} pixels; expected at least one of each"
        )


def _interpolate(
    n_in: int, n_out: int, kernel: Kernel, *, radius: float, antialias: bool
) -> Matrix:
    _check(n_in, n_out)
    scale = n_in / n_out
    stretch = max(scale, 1.0) if antialias else 1.0
    centre = (np.arange(n_out) + 0.5) * scale
    if antialias:
        return _antialiased(
            n_in, np.asarray(centre), kernel, radius * stretch, stretch
        )
    # The border pixel is repeated beyond the border; bilinear clamps centres.
    position = centre - 0.5 if radius > 1 else np.clip(centre - 0.5, 0, None)
    matrix = np.zeros((n_out, n_in))
    base = np.floor(position).astype(np.int64)
    for offset in range(1 - int(radius), int(radius) + 1):
        source = np.clip(base + offset, 0, n_in - 1)
        np.add.at(
            matrix,
            (np.arange(n_out), source),
            kernel(position - (base + offset)),
        )
    return matrix


def _antialiased(
    n_in: int, centre: Matrix, kernel: Kernel, support: float, stretch: float
) -> Matrix:
    source = np.arange(n_in)
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)[:, None]
    last = np.minimum((centre + support + 0.5).astype(np.int64), n_in)[:, None]
    weights = kernel((source[None, :] - centre[:, None] + 0.5) / stretch)
    weights = np.where((source >= first) & (source < last), weights, 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _triangle(t: Matrix) -> Matrix:
    return np.maximum(0.0, 1.0 - np.abs(t))


def _keys(t: Matrix, a: float) -> Matrix:
    t = np.abs(t)
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return np.where(t < 1, near, np.where(t < 2, far, 0.0))
