"""Random changes of the images of a batch: mirroring, rotation, brightness."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from anomedge.pipelines.training.options import TrainOptions

__all__ = ["augmented"]

_AXES = {"none": (), "horizontal": (3,), "vertical": (2,), "both": (3, 2)}


def augmented(
    images: Tensor, options: TrainOptions, generator: torch.Generator
) -> Tensor:
    """Return changed images (B, 3, H, W); each image gets random choices of its own.

    Without augmentations in the options, the images themselves are returned.
    """
    for axis in _AXES[options.flip]:
        mirror = torch.rand(len(images), generator=generator) < 0.5
        column = mirror.reshape(-1, 1, 1, 1)
        images = torch.where(column, images.flip(axis), images)
    if options.rotation:
        angles = _symmetric(images, generator) * math.radians(options.rotation)
        images = rotated(images, angles)
    if options.brightness:
        factors = 1 + _symmetric(images, generator) * options.brightness
        column = factors.reshape(-1, 1, 1, 1)
        images = (images * column).clamp(0, 1)
    return images


def rotated(images: Tensor, angles: Tensor) -> Tensor:
    """Rotate images (B, 3, H, W) about their centre by angles (B,) in radians; edges are mirrored."""
    height, width = images.shape[2:]
    cosine, sine, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    # Coordinates are halves of the sides, so a rotation of pixels is none of coordinates.
    rows = [
        torch.stack([cosine, -sine * height / width, zero], dim=1),
        torch.stack([sine * width / height, cosine, zero], dim=1),
    ]
    grid = F.affine_grid(
        torch.stack(rows, dim=1), list(images.shape), align_corners=False
    )
    return F.grid_sample(
        images, grid, padding_mode="reflection", align_corners=False
    )


def _symmetric(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return a number in [-1, 1) per image."""
    numbers = torch.rand(len(images), generator=generator, dtype=images.dtype)
    return 2 * numbers - 1
