"""Generated pictures of a proof: extreme and synthetic ones; `blends` makes others."""

from __future__ import annotations

import numpy as np

from anomedge.generated import Generated
from anomedge.images import Frame, Picture

__all__ = [
    "BLENDED",
    "EXTREME",
    "LEVEL",
    "SCALED",
    "STRANGE",
    "SYNTHETIC",
    "extremes",
    "synthetic",
]

EXTREME: Generated = "extreme"
"""Black, grey, white, and an edge."""
BLENDED: Generated = "blended"
"""Between two pictures, with a score near the threshold (`anomedge.parity.blends`)."""
LEVEL: Generated = "level"
"""Between two pictures, with a score at another level than the threshold (`anomedge.parity.levels`)."""
SCALED: Generated = "scaled"
"""In another size, for bundles that take any (`anomedge.parity.sizes`)."""
SYNTHETIC: Generated = "synthetic"
"""Colour fields, for users without pictures."""
STRANGE = (EXTREME, LEVEL)
"""Unlike any picture of a line, so that a typical error leaves them out."""


def extremes(frame: tuple[int, int]) -> list[Picture]:
    """Return black, grey and white frames, and an edge of black and white."""
    edge = np.zeros((*frame, 3), dtype=np.uint8)
    edge[:, frame[1] // 2 :] = 255
    constant = {"black": 0, "grey": 128, "white": 255}
    pictures = [
        Picture(
            f"{EXTREME}/{name}",
            pixels=np.full((*frame, 3), value, dtype=np.uint8),
            generated=EXTREME,
        )
        for name, value in constant.items()
    ]
    return [
        *pictures,
        Picture(f"{EXTREME}/edge", pixels=edge, generated=EXTREME),
    ]


def synthetic(
    frame: tuple[int, int], count: int = 4, seed: int = 0
) -> list[Picture]:
    """Return smooth colour fields with grain, for users without pictures."""
    generator = np.random.default_rng(seed)
    return [
        Picture(
            f"{SYNTHETIC}/{i}",
            pixels=_field(frame, generator),
            generated=SYNTHETIC,
        )
        for i in range(count)
    ]


def _field(frame: tuple[int, int], generator: np.random.Generator) -> Frame:
    y, x = np.meshgrid(
        np.linspace(0, 1, frame[0]), np.linspace(0, 1, frame[1]), indexing="ij"
    )
    waves = np.zeros((*frame, 3))
    for channel in range(3):
        fy, fx, phase = generator.uniform((1, 1, 0), (24, 24, 2 * np.pi))
        waves[..., channel] = np.sin(2 * np.pi * (fy * y + fx * x) + phase)
    pixels = 128 + 70 * waves + generator.normal(0, 12, waves.shape)
    return np.clip(pixels.round(), 0, 255).astype(np.uint8)
