"""Labels that float32 rounding may change: quantised networks amplify it.

Runtimes resize pictures, and compute activations, with other last digits than torch. A value next to the middle between
two levels then gets the other level, and following layers spread that. The scores of a runtime therefore differ from
torch's by as much as scores of images that are changed in their last digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from anomedge.pipelines.crossfit import score_images
from anomedge.pipelines.model import Model
from anomedge.pipelines.quantised.compared import Batches
from anomedge.pipelines.rounding import perturbed, perturbed_networks
from anomedge.pipelines.tiles import Tiles
from anomedge.threshold import Scores

__all__ = ["unstable_places"]

_DEVIATIONS = 2.0
"""Least distance of a stable score from the threshold, in root mean squares of the change."""


def unstable_places(model: Model, images: Batches, scores: Scores) -> list[int]:
    """Return the places of the scores (N,) that are nearer to the threshold than rounding moves scores.

    Args:
        model: the detector.
        images: the images of the scores, in batches.
        scores: its scores of them.
    """
    if not scores.size:
        return []
    generator = torch.Generator().manual_seed(0)
    other = perturbed_networks(model.pipeline, generator)
    tiles = Tiles.of(model.geometry)
    moved = score_images(other, _Perturbed(images, generator), tiles).scores
    noise = float(np.sqrt(np.mean(np.square(moved - scores))))
    margins = np.abs(scores - model.decision.threshold)
    (places,) = np.nonzero(margins < _DEVIATIONS * noise)
    found: list[int] = places.tolist()
    return found


@dataclass(frozen=True)
class _Perturbed:
    """Batches of images with simulated rounding errors."""

    batches: Batches
    generator: torch.Generator

    def __iter__(self) -> Iterator[Tensor]:
        for images in self.batches:
            yield perturbed(images, self.generator)
