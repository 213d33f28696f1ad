r"""PatchCore: nearest neighbours in a memory bank of normal patches (Roth et al. 2022, arXiv:2106.08265).

Feature maps of two middle layers are averaged over 3x3 neighbourhoods, upsampled to the grid of the finer one
(bilinear) and concatenated. The memory bank :math:`M` is a greedy k-center coreset of the normal patches. The anomaly
of a patch is the distance :math:`\min_{m \in M} \lVert x_p - m \rVert`. The map is the distances, upsampled bilinearly
and blurred with sigma 4. The score is the largest distance, re-weighted by the neighbourhood of its nearest bank vector
(`MemoryBank`).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from anomedge.components import FeatureExtractor
from anomedge.pipelines import banks
from anomedge.pipelines.banks import BankConfig, BankOptions, BankPipeline

__all__ = ["Patchcore", "PatchcoreConfig", "PatchcoreOptions"]

Neighbors = Annotated[int, Field(ge=1, le=1024)]


class PatchcoreConfig(BankConfig):
    """Configuration; `num_neighbors` is the b of the re-weighting."""

    num_neighbors: Neighbors = 9


class PatchcoreOptions(BankOptions):
    """Fit options of PatchCore."""

    neighbors: Neighbors = Field(
        9,
        description="Neighbours of the score's re-weighting, 1 to 1024; 1 turns it off.",
    )


class Patches(banks.Patches):
    """Feature maps to patches: averaged over 3x3, upsampled to the finest grid, concatenated."""

    def levels(self, features: dict[str, Tensor]) -> list[Tensor]:
        """Average each map (B, C_l, h_l, w_l) over 3x3."""
        return [
            F.avg_pool2d(x, kernel_size=3, stride=1, padding=1)
            for x in features.values()
        ]


class Patchcore(BankPipeline[PatchcoreConfig, PatchcoreOptions]):
    """PatchCore: nearest normal patches (Roth et al. 2022)."""

    name = "patchcore"
    config_class = PatchcoreConfig
    options_class = PatchcoreOptions
    default_backbone = "wide_resnet50_2"
    default_strides: ClassVar[tuple[int, ...]] = (8, 16)
    patches_class = Patches

    def __init__(
        self, config: PatchcoreConfig, extractor: FeatureExtractor
    ) -> None:
        super().__init__(config, extractor, config.num_neighbors)

    @classmethod
    def _own_values(cls, options: PatchcoreOptions) -> dict[str, Any]:
        return {"num_neighbors": options.neighbors}

    def stages(self, images: Tensor) -> dict[str, Tensor]:
        """Return `features/<layer>`, `distances` (B, 1, h, w), `anomaly_map` and `score`."""
        features = self.features(images)
        inside = None if self.region is None else self.region.patches
        found = self.bank.examine(self.patches.levels(features), inside)
        grid = found.distances.reshape(-1, 1, *self.patches.grid)
        anomaly_map = self.to_map(grid)
        if self.region is not None:
            anomaly_map = self.region.restrict(anomaly_map)
        named = {f"features/{layer}": x for layer, x in features.items()}
        named["distances"] = grid
        if found.proof is not None:
            for stage, values in found.proof._asdict().items():
                named[f"search/{stage}"] = values.reshape(grid.shape)
        return named | {"anomaly_map": anomaly_map, "score": found.score}
