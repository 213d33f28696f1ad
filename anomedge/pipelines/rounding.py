"""Effect of float32 rounding on a fitted detector, as a share of its score scale.

Runtimes round differently from torch. If features barely vary, rounding errors are as large as the distances between
features, and no export can be proven. To measure the effect, images and features are perturbed by up to one unit in
the last place, at random with a fixed seed, and the maps are compared.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anomedge.pipelines._base import Pipeline
from anomedge.threshold import scale_of_each

__all__ = ["LARGEST_ROUNDING_EFFECT", "rounding_effect"]

LARGEST_ROUNDING_EFFECT = 1e-4
"""Tolerance of a float32 proof, as a share of the scale. Typical backbones have effects of 1e-6 to 1e-5."""


def rounding_effect(pipeline: Pipeline, images: Tensor, scale: float) -> float:
    """Measure the largest change of the anomaly maps, as a share of their scale, for images (B, 3, H, W) in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    perturbed = pipeline.with_extractor(
        _PerturbedExtractor(pipeline.extractor, generator)
    )
    with torch.no_grad():
        exact = pipeline(images).anomaly_map
        change = (
            perturbed(_perturb(images, generator)).anomaly_map - exact
        ).abs()
    return float((change.numpy() / scale_of_each(exact.numpy(), scale)).max())


def _perturb(values: Tensor, generator: torch.Generator) -> Tensor:
    """Change each value by up to one unit in the last place."""
    unit = torch.finfo(values.dtype).eps
    noise = (
        torch.rand(values.shape, generator=generator, dtype=values.dtype) * 2
        - 1
    )
    return values * (1 + unit * noise)


class _PerturbedExtractor(nn.Module):
    """An extractor that adds simulated rounding errors to its features."""

    def __init__(
        self, extractor: nn.Module, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.extractor = extractor
        self.generator = generator

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {
            layer: _perturb(features, self.generator)
            for layer, features in self.extractor(images).items()
        }
