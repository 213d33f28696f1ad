"""Brighten or darken a region, as a stain or a reflection."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from anomedge.pipelines.synthetic.base import (
    Image,
    SyntheticDefect,
    ellipse,
    mix,
)

__all__ = ["Brightness"]


class Brightness(SyntheticDefect):
    """An ellipse with half axes of 0.06 to 0.18."""

    name: ClassVar[str] = "brightness"

    def draw(self, image: Image, generator: np.random.Generator) -> Image:
        """Change the brightness by 0.2 to 0.5."""
        share = ellipse(image.shape, generator, 0.06, 0.18)
        change = generator.uniform(0.2, 0.5) * generator.choice([-1, 1])
        return mix(image, image + change, share)
