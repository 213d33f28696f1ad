"""Cut a rectangle out of an image and paste it elsewhere (CutPaste, Li et al. 2021, arXiv:2104.04015).

On a texture, a patch of the same texture is no defect. The patch is therefore enlarged and its colours are shifted.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from anomedge.pipelines.synthetic.base import Image, SyntheticDefect
from anomedge.resample import bilinear

__all__ = ["CutPaste"]


class CutPaste(SyntheticDefect):
    """A rectangle of 2 to 8 % of the image, with sides of a ratio of up to 3."""

    name: ClassVar[str] = "cut-paste"

    def draw(self, image: Image, generator: np.random.Generator) -> Image:
        """Paste a part of the image, enlarged 1.2 to 2.5 times and shifted by up to 0.1 in each colour."""
        sides = np.array(image.shape[:2])
        area = generator.uniform(0.02, 0.08) * sides.prod()
        ratio = np.exp(generator.uniform(-np.log(3), np.log(3)))
        wanted = np.sqrt(area * np.array([ratio, 1 / ratio])).round()
        pasted = np.clip(wanted.astype(int), 3, sides)
        cut = np.maximum(1, pasted / generator.uniform(1.2, 2.5)).astype(int)
        patch = image[_place(sides, cut, generator)]
        rows, columns = map(bilinear, cut, pasted)
        enlarged = np.einsum("ij,jkc,lk->ilc", rows, patch, columns)
        shifted = enlarged + generator.uniform(-0.1, 0.1, 3)
        planted = image.copy()
        planted[_place(sides, pasted, generator)] = np.clip(shifted, 0, 1)
        return planted


def _place(
    sides: np.ndarray, lengths: np.ndarray, generator: np.random.Generator
) -> tuple[slice, ...]:
    """Return a random window of the image."""
    starts = (
        int(generator.integers(0, side - length + 1))
        for side, length in zip(sides, lengths, strict=True)
    )
    return tuple(
        slice(start, start + int(length))
        for start, length in zip(starts, lengths, strict=True)
    )
