r"""Products whose quantisation disturbs the map more than it saves.

The noise of a product is the change of the map (without a map: of the score) by its quantisation alone, as a share of
the scale: the root mean square over pixels and images, less the mean over images, which statistics that are estimated
again absorb. Errors of different products are independent, so the variances add up:

.. math:: \sigma^2 \approx \sum_i \sigma_i^2

Products are ordered by :math:`\sigma_i^2 / m_i`, the variance for each of their :math:`m_i` multiplications. The first
ones stay in float32, up to a fixed share of all multiplications.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from anomedge.pipelines.base import Pipeline
from anomedge.pipelines.tiles import Tiles, detect

__all__ = ["FLOAT_SHARE", "Effect", "count_noisiest", "maps_of", "noise"]

FLOAT_SHARE = 0.15
"""Share of the multiplications that stay in float32 because of their noise."""


class Effect(NamedTuple):
    """Effect of one product's quantisation.

    Attributes:
        noise: as a share of the scale.
        network: name of the network.
        product: name of the product.
        multiplications: of the product, for one image.
    """

    noise: float
    network: str
    product: str
    multiplications: int

    @property
    def variance_per_multiplication(self) -> float:
        """What a multiplication in float32 takes away from the variance of the map."""
        return self.noise**2 / self.multiplications


def noise(exact: Tensor, changed: Tensor, scale: float) -> float:
    """Return the noise of maps (B, ...), in shares of the scale.

    >>> exact = torch.zeros(2, 1, 2, 2)
    >>> noise(exact, exact + 3.0, scale=1.0)
    0.0
    """
    change = (changed - exact) / scale
    centred = change - change.mean(dim=0)
    return float(centred.square().mean().sqrt())


def maps_of(
    detector: Pipeline[Any, Any],
    tiles: Tiles | None,
    batches: Sequence[Tensor],
) -> Tensor:
    """Return the maps of batches of images (B, 3, H, W); of a detector without a map, the scores."""
    with torch.no_grad():
        stages = [detect(detector, tiles, images) for images in batches]
    name = "anomaly_map" if "anomaly_map" in stages[0] else "score"
    return torch.cat([each[name] for each in stages])


def count_noisiest(ordered: Sequence[Effect]) -> int:
    """Return how many of the first products have at most the fixed share of the multiplications.

    >>> effects = [Effect(0.1, "net", "first", 10), Effect(0.1, "net", "second", 90)]
    >>> count_noisiest(effects)
    1
    """
    costs = np.cumsum([effect.multiplications for effect in ordered])
    return int((costs <= FLOAT_SHARE * costs[-1]).sum())
