r"""PatchCore: nearest neighbours in a memory bank of normal patches (Roth et al. 2022, arXiv:2106.08265).

Feature maps of two middle levels are averaged over 3x3 neighbourhoods, brought to the finer one's grid (bilinear) and
stacked. A greedy k-center coreset of the normal patches is the bank :math:`M`; a patch's anomaly is the distance
:math:`\min_{m \in M} \lVert x_p - m \rVert`, the map is that, upsampled bilinearly and blurred with sigma 4, and the
score is the worst patch's distance, re-weighted by the neighbourhood of its nearest bank vector (`MemoryBank`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from anomedge.components import (
    FeatureExtractor,
    KCenterGreedy,
    LinearResample2d,
    MemoryBank,
)
from anomedge.errors import InputError
from anomedge.pipelines._base import (
    Config,
    Pipeline,
    base_config,
    checked_config,
    map_resampling,
    map_sizes,
)
from anomedge.resample import bilinear

__all__ = ["Patchcore", "PatchcoreConfig"]


class PatchcoreConfig(Config):
    """`n_vectors` is the size of the bank, `num_neighbors` the b of the re-weighting."""

    n_vectors: Annotated[int, Field(ge=1, le=1 << 24)]
    num_neighbors: Annotated[int, Field(ge=1, le=1024)] = 9


class Patchcore(Pipeline):
    """The fitted detector; `Patchcore.fit` makes one."""

    name = "patchcore"
    config_class = PatchcoreConfig
    default_backbone = "wide_resnet50_2"
    default_strides: ClassVar[tuple[int, ...]] = (8, 16)

    config: PatchcoreConfig

    def __init__(
        self, config: PatchcoreConfig, extractor: FeatureExtractor
    ) -> None:
        super().__init__(config, extractor)
        self.patches = _Patches(extractor, config.size)
        self.bank = MemoryBank(
            config.n_vectors,
            extractor.channels,
            config.num_neighbors,
            upsample=self.patches.upsamplings,
        )
        self.to_map = map_resampling(
            self.patches.grid, config.size, config.sigma
        )

    @classmethod
    def fit(
        cls,
        batches: Iterable[Tensor],
        extractor: FeatureExtractor,
        size: tuple[int, int],
        seed: int = 0,
        coreset_ratio: float = 0.1,
        num_neighbors: int = 9,
        sigma: float = 4.0,
    ) -> Patchcore:
        """Collect the patches of every image, then keep a coreset of them.

        Args:
            batches: images, float (B, 3, H, W) in [0, 1].
            extractor: the backbone, finest layer first.
            size: (H, W).
            seed: of the first centre.
            coreset_ratio: share of the patches to keep, in (0, 1].
            num_neighbors: b of the re-weighting; 1 leaves scores as they are.
            sigma: of the map's blur, in pixels.
        """
        asked = {
            **base_config(extractor, size),
            "num_neighbors": num_neighbors,
            "sigma": sigma,
        }
        checked_config(
            PatchcoreConfig, **asked, n_vectors=1
        )  # before the work, not after it
        patches = _Patches(extractor, size)
        mean, std = (
            torch.tensor(asked[key]).reshape(1, 3, 1, 1)
            for key in ("mean", "std")
        )
        with torch.no_grad():
            rows = [
                patches(extractor.eval()((images - mean) / std)).flatten(0, 1)
                for images in batches
            ]
        if not rows:
            raise InputError(
                "got no picture; expected at least one: give more pictures"
            )
        coreset = KCenterGreedy(
            _stacked(rows), coreset_ratio, seed=seed
        ).sample_coreset()
        config = checked_config(
            PatchcoreConfig, **asked, n_vectors=len(coreset)
        )
        pipeline = cls(config, extractor).eval()
        pipeline.bank.fill(coreset)
        return pipeline

    def stages(self, images: Tensor) -> dict[str, Tensor]:
        """`features/<layer>`, `distances` (B, 1, h, w), `anomaly_map` (B, 1, H, W), `score` (B,)."""
        features = self.features(images)
        distances, score = self.bank(self.patches.pooled(features))
        grid = distances.reshape(-1, 1, *self.patches.grid)
        named: dict[str, Tensor] = {
            f"features/{layer}": x for layer, x in features.items()
        }
        return named | {
            "distances": grid,
            "anomaly_map": self.to_map(grid),
            "score": score,
        }


def _stacked(rows: list[Tensor]) -> Tensor:
    """One tensor of all, each let go as it is copied: what `torch.cat` would hold twice."""
    points = rows[0].new_empty(sum(map(len, rows)), rows[0].shape[1])
    for part in reversed(torch.split(points, [len(part) for part in rows])):
        part.copy_(rows.pop())
    return points


class _Patches(torch.nn.Module):
    """Feature maps to patches: locally averaged, brought to the finest grid, stacked."""

    def __init__(
        self, extractor: FeatureExtractor, size: tuple[int, int]
    ) -> None:
        super().__init__()
        sizes = map_sizes(extractor, size)
        self.grid = sizes[0]
        self.upsamplings = [
            None
            if level == self.grid
            else LinearResample2d(
                *(bilinear(a, b) for a, b in zip(level, self.grid, strict=True))
            )
            for level in sizes
        ]

    def pooled(self, features: dict[str, Tensor]) -> list[Tensor]:
        """Each (B, C_l, h_l, w_l) averaged over 3x3."""
        return [
            F.avg_pool2d(x, kernel_size=3, stride=1, padding=1)
            for x in features.values()
        ]

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """Each (B, C_l, h_l, w_l) to (B, h w, sum of C_l)."""
        pooled = zip(self.upsamplings, self.pooled(features), strict=True)
        levels = [
            x if upsample is None else upsample(x) for upsample, x in pooled
        ]
        return torch.cat(levels, dim=1).flatten(2).transpose(1, 2)
