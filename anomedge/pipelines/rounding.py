"""Effect of float32 rounding on a fitted detector, as a share of its score scale.

Runtimes round differently from torch. If features barely vary, rounding errors are as large as the distances between
features, and no export can be proven. To measure the effect, images and the outputs of networks are perturbed by up to
one unit in the last place, at random with a fixed seed, and the maps are compared; without a map, the scores.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from anomedge.pipelines.base import Pipeline, Prediction
from anomedge.pipelines.networks import map_tensors
from anomedge.threshold import scale_of_each

__all__ = [
    "LARGEST_ROUNDING_EFFECT",
    "perturbed",
    "perturbed_networks",
    "rounding_effect",
]

LARGEST_ROUNDING_EFFECT = 1e-4
"""Tolerance of a float32 proof, as a share of the scale. Typical backbones have effects of 1e-6 to 1e-5."""


def rounding_effect(
    pipeline: Pipeline[Any, Any], images: Tensor, scale: float
) -> float:
    """Measure the largest change of maps (scores without maps), as a share of their scale, for images (B, 3, H, W) in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    other = perturbed_networks(pipeline, generator)
    with torch.no_grad():
        exact = _values(pipeline(images))
        change = _values(other(perturbed(images, generator))) - exact
    scales = scale_of_each(exact.numpy(), scale)
    return float((change.abs().numpy() / scales).max())


def perturbed_networks(
    pipeline: Pipeline[Any, Any], generator: torch.Generator
) -> Pipeline[Any, Any]:
    """Return the detector with simulated rounding errors in the outputs of its networks."""
    return pipeline.with_networks(
        {
            name: _PerturbedNetwork(pipeline.get_submodule(name), generator)
            for name in pipeline.networks
        }
    )


def _values(prediction: Prediction) -> Tensor:
    if prediction.anomaly_map is None:
        return prediction.score
    return prediction.anomaly_map


def perturbed(values: Tensor, generator: torch.Generator) -> Tensor:
    """Change each value by up to one unit in the last place."""
    if not values.is_floating_point():
        return values
    unit = torch.finfo(values.dtype).eps
    noise = torch.rand(values.shape, generator=generator, dtype=values.dtype)
    return values * (1 + unit * (noise * 2 - 1))


class _PerturbedNetwork(nn.Module):
    """A network with simulated rounding errors in its outputs."""

    def __init__(self, network: nn.Module, generator: torch.Generator) -> None:
        super().__init__()
        self.network = network
        self.generator = generator

    def forward(self, *inputs: Any) -> Any:
        return map_tensors(
            lambda values: perturbed(values, self.generator),
            self.network(*inputs),
        )
