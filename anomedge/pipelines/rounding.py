"""Effect of float32 rounding on a fitted detector, as a share of its score scale.

Runtimes round differently from torch. Where features barely vary, such differences are as large as the distances that
are measured, and no export can be proven. The effect is measured: images and features are moved by one unit in the
last place, at random with a fixed seed, and maps are compared.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anomedge.pipelines._base import Pipeline
from anomedge.threshold import scale_of_each

__all__ = ["LARGEST_ROUNDING_EFFECT", "rounding_effect"]

LARGEST_ROUNDING_EFFECT = 1e-4
"""The tolerance of a float32 proof, as a share of the scale. Ordinary backbones have 1e-6 to 1e-5."""


def rounding_effect(pipeline: Pipeline, images: Tensor, scale: float) -> float:
    """The largest change of the anomaly maps of images, float (B, 3, H, W) in [0, 1], as a share of their scale."""
    generator = torch.Generator().manual_seed(0)
    moved = pipeline.with_extractor(_Moved(pipeline.extractor, generator))
    with torch.no_grad():
        exact = pipeline(images).anomaly_map
        change = (moved(_moved(images, generator)).anomaly_map - exact).abs()
    return float((change.numpy() / scale_of_each(exact.numpy(), scale)).max())


def _moved(values: Tensor, generator: torch.Generator) -> Tensor:
    """Each value moved by up to one unit in the last place."""
    unit = torch.finfo(values.dtype).eps
    noise = torch.rand(values.shape, generator=generator, dtype=values.dtype) * 2 - 1
    return values * (1 + unit * noise)


class _Moved(nn.Module):
    """An extractor whose features are moved by rounding errors."""

    def __init__(self, extractor: nn.Module, generator: torch.Generator) -> None:
        super().__init__()
        self.extractor = extractor
        self.generator = generator

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {layer: _moved(features, self.generator) for layer, features in self.extractor(images).items()}
