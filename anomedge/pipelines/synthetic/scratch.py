"""Draw a thin bent line that is brighter or darker than its surroundings."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from anomedge.pipelines.synthetic.base import Image, SyntheticDefect, mix

__all__ = ["Scratch"]


class Scratch(SyntheticDefect):
    """A bent line, 0.3 to 0.8 long and 0.01 to 0.03 wide."""

    name: ClassVar[str] = "scratch"

    def draw(self, image: Image, generator: np.random.Generator) -> Image:
        """Draw the line with a contrast of 0.3 to 0.8 to the image."""
        height, width = image.shape[:2]
        side = min(height, width)
        y, x = np.indices((height, width)).astype(np.float64)
        cy, cx = generator.uniform(0.15, 0.85, 2) * (height, width)
        angle = generator.uniform(0, np.pi)
        length = generator.uniform(0.3, 0.8) * side
        thickness = max(1.0, generator.uniform(0.01, 0.03) * side)
        along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        across = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        bend = generator.uniform(-0.5, 0.5) / side
        across = across - bend * along**2
        ends = np.maximum(np.abs(along) - length / 2, 0)
        distance = np.hypot(ends, across)
        share = np.clip(thickness / 2 + 0.5 - distance, 0, 1)[..., None]
        contrast = generator.uniform(0.3, 0.8) * generator.choice([-1, 1])
        return mix(image, image + contrast, share)
