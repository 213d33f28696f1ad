"""Collect the distributions of scores and image statistics of normal pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomedge.images.picture import Picture
from anomedge.images.reading import Frame
from anomedge.images.statistics import ImageStatistics, image_statistics
from anomedge.progress import track
from anomedge.threshold.normal_distributions import (
    MOST_VALUES,
    NormalDistributions,
    compact,
)

__all__ = [
    "MeasuredFrame",
    "distributions_of",
    "distributions_of_pictures",
    "measured",
]


class MeasuredFrame(NamedTuple):
    """Size (height, width) and statistics of a frame."""

    size: tuple[int, int]
    statistics: ImageStatistics


def measured(frame: Frame) -> MeasuredFrame:
    """Measure a frame, uint8 (H, W, 3)."""
    height, width = frame.shape[:2]
    return MeasuredFrame((height, width), image_statistics(frame))


def distributions_of(
    scores: npt.NDArray[np.floating], frames: Sequence[MeasuredFrame]
) -> NormalDistributions:
    """Return the compact distributions of scores (N,) and of measured frames."""
    sizes = {frame.size for frame in frames}
    values = np.array([frame.statistics for frame in frames]).reshape(-1, 3)
    brightness, contrast, sharpness = map(compact, values.T)
    return NormalDistributions(
        count=scores.size,
        scores=compact(scores),
        size=sizes.pop() if len(sizes) == 1 else None,
        brightness=brightness,
        contrast=contrast,
        sharpness=sharpness,
    )


def distributions_of_pictures(
    scores: npt.NDArray[np.floating], pictures: Sequence[Picture]
) -> NormalDistributions:
    """Return the compact distributions of scores (N,) and of N pictures, which are read again.

    At most 256 pictures are measured, at equal distances in their order.
    """
    step = -(-len(pictures) // MOST_VALUES) or 1
    chosen = pictures[::step]
    frames = [
        measured(picture.frame())
        for picture in track(chosen, "measuring", total=len(chosen))
    ]
    return distributions_of(scores, frames)
