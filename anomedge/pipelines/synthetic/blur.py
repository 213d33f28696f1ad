"""Blur a region, as a smear or a part out of focus."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from anomedge.pipelines.synthetic.base import (
    Image,
    SyntheticDefect,
    ellipse,
    mix,
)
from anomedge.resample import gaussian_blur

__all__ = ["Blur"]


class Blur(SyntheticDefect):
    """A blurred ellipse with half axes of 0.12 to 0.25."""

    name: ClassVar[str] = "blur"

    def draw(self, image: Image, generator: np.random.Generator) -> Image:
        """Blur with a standard deviation of 0.02 to 0.04."""
        height, width = image.shape[:2]
        share = ellipse(image.shape, generator, 0.12, 0.25)
        sigma = max(0.5, generator.uniform(0.02, 0.04) * min(height, width))
        size = 2 * int(3 * sigma) + 1
        rows, columns = (gaussian_blur(n, size, sigma) for n in (height, width))
        tall = np.tensordot(rows, image, axes=(1, 0))
        blurred = np.tensordot(tall, columns, axes=(1, 1)).transpose(0, 2, 1)
        return mix(image, blurred, share)
