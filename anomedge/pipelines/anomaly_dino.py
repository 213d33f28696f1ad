r"""AnomalyDINO: nearest normal patches of a frozen DINOv2 (Damm et al. 2024, arXiv:2405.14529).

The patch tokens of the last block of a vision transformer, behind its final norm, are scaled to unit length: f (B, d, h,
w). The memory bank :math:`\mathcal M` holds those of all normal pictures, or a greedy k-center coreset of them. The
distance of a patch is that to its nearest neighbour by the cosine, which for unit vectors is half of the squared
Euclidean distance,

.. math:: d(p) = \min_{m \in \mathcal M} \big(1 - \langle f_p, m \rangle\big)
          = \tfrac12 \min_{m \in \mathcal M} \lVert f_p - m \rVert^2

so `MemoryBank` finds it and measures it by a subtraction, without the cancellation in 1 - cos. The map is the distances,
upsampled bilinearly and blurred with sigma 4. The score is the mean of the largest distances, of max(1, floor(h w / 100))
patches: the empirical tail value at risk of 1 %.

Differences: the paper rotates the normal pictures and masks the background of some objects; here neither is done (give a
region instead, whose other patches have the distance 0). anomalib 2.7 upsamples by the nearest patch, resizes pictures
bicubically, and interpolates the position embedding at run time without antialiasing; here it is interpolated once, by timm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field
from torch import Tensor

from anomedge.components import FeatureExtractor
from anomedge.components.timm_backbones import feature_info
from anomedge.components.unit_length import unit_length
from anomedge.errors import InputError
from anomedge.pipelines import banks
from anomedge.pipelines.banks import (
    BankConfig,
    BankOptions,
    BankPipeline,
    Share,
)

__all__ = ["AnomalyDino", "AnomalyDinoConfig", "AnomalyDinoOptions"]

Size = tuple[int, int]

_TAIL = 100
"""One patch in so many belongs to the tail."""


class AnomalyDinoConfig(BankConfig):
    """Configuration of a bank of unit vectors."""


class AnomalyDinoOptions(BankOptions):
    """Fit options of AnomalyDINO."""

    coreset: Share = Field(
        1.0,
        description="Share of the patches to keep, in (0, 1]; 1 keeps all of them.",
    )


class UnitPatches(banks.Patches):
    """Patch tokens of unit length.

    Raises:
        InputError: several layers.
    """

    def __init__(self, extractor: FeatureExtractor, size: Size) -> None:
        _refuse_layers(extractor.layers)
        super().__init__(extractor, size)

    def levels(self, features: dict[str, Tensor]) -> list[Tensor]:
        """Return f (B, d, h, w)."""
        return [unit_length(x) for x in features.values()]


class AnomalyDino(BankPipeline[AnomalyDinoConfig, AnomalyDinoOptions]):
    """AnomalyDINO: nearest normal patches of DINOv2 (Damm et al. 2024)."""

    name = "anomaly_dino"
    config_class = AnomalyDinoConfig
    options_class = AnomalyDinoOptions
    default_backbone = "vit_small_patch14_dinov2"
    default_strides: ClassVar[tuple[int, ...]] = (14,)
    final_norm = True
    patches_class = UnitPatches

    def stages(self, images: Tensor) -> dict[str, Tensor]:
        """Return `features/<layer>`, `distances` (B, 1, h, w), `anomaly_map` and `score`."""
        features = self.features(images)
        inside = None if self.region is None else self.region.patches
        found = self.bank.examine(self.patches.levels(features), inside)
        distances = found.distances.square() / 2
        grid = distances.reshape(-1, 1, *self.patches.grid)
        anomaly_map = self.to_map(grid)
        if self.region is not None:
            anomaly_map = self.region.restrict(anomaly_map)
        named = {f"features/{layer}": x for layer, x in features.items()}
        named["distances"] = grid
        if found.proof is not None:
            least = found.distances - found.proof.excess
            excess = distances - least.square() / 2
            named["search/proven"] = found.proof.proven.reshape(grid.shape)
            named["search/excess"] = excess.reshape(grid.shape)
        return named | {
            "anomaly_map": anomaly_map,
            "score": _mean_of_tail(distances),
        }

    @classmethod
    def _default_layers(cls, backbone: str) -> Sequence[str]:
        """Return the last block."""
        return [str(feature_info(backbone)[-1]["module"])]


def _refuse_layers(layers: Sequence[str]) -> None:
    if len(layers) != 1:
        raise InputError(
            f"got the layers {', '.join(layers)} for anomaly_dino; expected one: give --layers {layers[-1]}"
        )


def _mean_of_tail(distances: Tensor) -> Tensor:
    """Return the mean of the largest hundredth of the distances (B, P), at least of one, (B,)."""
    count = max(1, distances.shape[1] // _TAIL)
    if count == 1:
        return distances.amax(dim=1)
    return distances.topk(count, dim=1).values.mean(dim=1)
