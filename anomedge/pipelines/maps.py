"""Sizes of feature maps, and resampling from patches to the anomaly map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from anomedge.components import FeatureExtractor, LinearResample2d
from anomedge.components.module_backbones import first_line, silenced
from anomedge.errors import InputError, ModelError
from anomedge.resample import (
    Matrix,
    between_corners,
    bilinear,
    gaussian_blur,
)

__all__ = ["Upsampling", "map_resampling", "map_sizes", "nearest_of_torch"]

Size = tuple[int, int]
Upsampling = Literal["bilinear", "nearest"]
_REFUSALS = (
    RuntimeError,
    ValueError,
    TypeError,
    IndexError,
    AssertionError,
    ModelError,
)


def map_sizes(extractor: FeatureExtractor, size: Size) -> list[Size]:
    """Return height and width of each layer's feature map for images (H, W), without computing values.

    Raises:
        ModelError: the backbone does not accept images of that size, or its maps are not (B, C, h, w).
    """
    try:
        shapes = _map_shapes(extractor, size)
    except _REFUSALS as error:
        cause = error.__cause__ if isinstance(error, ModelError) else error
        raise ModelError(
            f"{extractor.backbone} does not take images of {size[0]}x{size[1]} ({first_line(cause)}); "
            f"expected a size that it accepts: give another --size (--crop or --tile where given) or --backbone"
        ) from error
    finally:
        # LeViT and similar networks cache biases, here without data. Setting the mode clears the cache.
        extractor.eval()
    expected = dict(zip(shapes, extractor.channels, strict=True))
    for layer, shape in shapes.items():
        if len(shape) != 4 or shape[1] != expected[layer]:
            raise ModelError(
                f"layer {layer} of {extractor.backbone} gives {shape}; "
                f"expected (B, {expected[layer]}, h, w): give a convolutional --backbone"
            )
    return [(shape[2], shape[3]) for shape in shapes.values()]


def map_resampling(
    grid: Size,
    size: Size,
    sigma: float,
    upsampling: Upsampling | Literal["corners"] = "bilinear",
) -> LinearResample2d:
    """Return the resampling from a grid of patches to the anomaly map: upsampling, then Gaussian blur.

    Both are one pair of constant matrices. `corners` is bilinear with the corner patches at the corner pixels. The kernel has 2 int(4 sigma + 1/2) + 1 pixels, the truncation of anomalib
    and scipy.

    Raises:
        InputError: the image is smaller than half of the kernel.
    """
    kernel_size = 2 * int(4.0 * sigma + 0.5) + 1
    if min(size) <= kernel_size // 2:
        raise InputError(
            f"got images of {size}; expected over {kernel_size // 2} pixels for sigma {sigma}: enlarge --size (--crop or --tile where given)"
        )
    upsample = _UPSAMPLINGS[upsampling]
    rows, columns = (
        gaussian_blur(n_out, kernel_size, sigma) @ upsample(n_in, n_out)
        for n_in, n_out in zip(grid, size, strict=True)
    )
    return LinearResample2d(rows, columns)


def nearest_of_torch(n_in: int, n_out: int) -> npt.NDArray[np.int64]:
    """Return the nearest of n_in values for each of n_out, as torch does, which rounds n_in / n_out to float32.

    >>> nearest_of_torch(2, 3).tolist()
    [0, 0, 1]
    """
    # A model file is loaded with the default device "meta".
    numbers = torch.arange(n_in, dtype=torch.float32, device="cpu")
    source = F.interpolate(numbers[None, None], size=n_out)[0, 0]
    return np.asarray(source.long().numpy())


def _nearest(n_in: int, n_out: int) -> Matrix:
    """Repeat the nearest of n_in values as torch does."""
    return np.asarray(np.eye(n_in)[nearest_of_torch(n_in, n_out)])


_UPSAMPLINGS: dict[str, Callable[[int, int], Matrix]] = {
    "bilinear": bilinear,
    "corners": between_corners,
    "nearest": _nearest,
}


def _map_shapes(extractor: nn.Module, size: Size) -> dict[str, tuple[int, ...]]:
    parameter = next(extractor.parameters(), torch.zeros(()))
    with (
        torch.no_grad(),
        silenced("torch._subclasses.fake_tensor"),
        FakeTensorMode(allow_non_fake_inputs=True),
    ):
        images = torch.empty(
            1, 3, *size, dtype=parameter.dtype, device=parameter.device
        )
        maps = extractor(images)
        return {
            layer: tuple(int(n) for n in features.shape)
            for layer, features in maps.items()
        }
