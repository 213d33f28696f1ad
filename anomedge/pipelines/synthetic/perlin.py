"""Blend another texture into a region of Perlin noise (DRAEM, Zavrtanik et al. 2021, arXiv:2108.07610)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from anomedge.pipelines.synthetic.base import (
    Image,
    Share,
    SyntheticDefect,
    ellipse,
    mix,
)

__all__ = ["PerlinTexture"]


class PerlinTexture(SyntheticDefect):
    """A ragged region of a foreign texture, within an ellipse with half axes of 0.1 to 0.25."""

    name: ClassVar[str] = "perlin"

    def draw(self, image: Image, generator: np.random.Generator) -> Image:
        """Blend 20 to 80 % of a texture of coloured noise in.

        DRAEM takes photographs of textures, which would have to ship; another normal picture of a texture is no defect.
        """
        shape = image.shape[:2]
        cells = int(generator.integers(4, 33))
        fine = _noise(shape, cells, generator)[..., None]
        contrast = generator.uniform(-0.8, 0.8, 3)
        texture = generator.uniform(0.2, 0.8, 3) + contrast * fine
        outline = _noise(shape, int(generator.integers(4, 17)), generator)
        region = ellipse(image.shape, generator, 0.1, 0.25)
        share = region * np.clip(outline / 0.1 + 0.5, 0, 1)[..., None]
        return mix(image, texture, generator.uniform(0.2, 0.8) * share)


def _noise(
    shape: tuple[int, ...], cells: int, generator: np.random.Generator
) -> Share:
    """Return gradient noise (H, W) around 0, with `cells` cells along each side (Perlin 1985)."""
    angles = generator.uniform(0, 2 * np.pi, (cells + 1, cells + 1))
    (iy, fy), (ix, fx) = (_cells(n, cells) for n in shape)
    fy, fx = fy[:, None], fx[None, :]

    def corner(dy: int, dx: int) -> Share:
        angle = angles[np.ix_(iy + dy, ix + dx)]
        return np.asarray(np.cos(angle) * (fx - dx) + np.sin(angle) * (fy - dy))

    sy, sx = (f**3 * (f * (f * 6 - 15) + 10) for f in (fy, fx))
    upper = corner(0, 0) * (1 - sx) + corner(0, 1) * sx
    lower = corner(1, 0) * (1 - sx) + corner(1, 1) * sx
    return np.asarray(upper * (1 - sy) + lower * sy)


def _cells(n: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the cell of each of n pixels, and the place in the cell in [0, 1)."""
    place = (np.arange(n) + 0.5) * cells / n
    return place.astype(int), place % 1
