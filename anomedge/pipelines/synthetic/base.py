"""Base of synthetic defects, and the shapes that they share.

An image is float32 (H, W, 3) in [0, 1]; lengths are shares of its shorter side.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt

__all__ = ["Image", "Share", "SyntheticDefect", "ellipse", "mix", "plant"]

Image = npt.NDArray[np.float32]
Share = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_DRAWS = 8
_LEAST_CHANGE = 0.05
"""Least mean change of the changed pixels: 13 of 255 grey levels."""
_CHANGED = 1 / 255


class SyntheticDefect(ABC):
    """A kind of synthetic defect.

    Attributes:
        name: name of the kind, for tables and files.
    """

    name: ClassVar[str]

    @abstractmethod
    def draw(self, image: Image, generator: np.random.Generator) -> Image:
        """Return a copy of an image with one random defect.

        Args:
            image: the normal image.
            generator: source of all random choices.
        """


def plant(
    defect: SyntheticDefect,
    image: Image,
    generator: np.random.Generator,
    inside: Mask | None = None,
) -> Image:
    """Draw a defect until it is visible; of eight faint ones, return the most visible.

    A blur of a plain surface or a patch of the background on the background changes nothing.

    Args:
        defect: the kind.
        image: the normal image.
        generator: source of all random choices.
        inside: bool (H, W); pixels outside stay, and a defect that lies mostly outside is drawn again. None: all pixels.
    """
    drawn: list[tuple[float, Image]] = []
    for _ in range(_DRAWS):
        candidate = defect.draw(image, generator)
        if inside is not None:
            candidate = _clipped(candidate, image, inside)
        visible = _visibility(candidate, image)
        if visible >= _LEAST_CHANGE:
            return candidate
        drawn.append((visible, candidate))
    return max(drawn, key=lambda pair: pair[0])[1]


def ellipse(
    shape: tuple[int, ...],
    generator: np.random.Generator,
    least: float,
    most: float,
) -> Share:
    """Return a soft ellipse (H, W, 1): 1 inside, 0 outside.

    The half axes are between `least` and `most`, in any rotation; the centre is in the middle 80 % of the image.
    """
    height, width = shape[:2]
    y, x = np.indices((height, width)).astype(np.float64)
    centre = generator.uniform(0.1, 0.9, 2) * (height, width)
    radii = generator.uniform(least, most, 2) * min(height, width)
    angle = generator.uniform(0, np.pi)
    y, x = y - centre[0], x - centre[1]
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    distance = np.hypot(along / radii[0], across / radii[1])
    return np.asarray(np.clip((1.15 - distance) / 0.3, 0, 1)[..., None])


def mix(image: Image, other: npt.ArrayLike, share: npt.ArrayLike) -> Image:
    """Blend a share of another image in; clip to [0, 1]."""
    mixed = image + np.asarray(share) * (np.asarray(other) - image)
    return np.clip(mixed, 0, 1).astype(np.float32)


def _clipped(candidate: Image, image: Image, inside: Mask) -> Image:
    """Return the part of a defect inside a region; no defect if most of its pixels lie outside."""
    changed = np.abs(candidate - image).mean(axis=2) > _CHANGED
    if (changed & inside).sum() * 2 < changed.sum():
        return image
    return np.where(inside[..., None], candidate, image)


def _visibility(candidate: Image, image: Image) -> float:
    change = np.abs(candidate - image).mean(axis=2)
    changed = change > _CHANGED
    return float(change[changed].mean()) if changed.any() else 0.0
