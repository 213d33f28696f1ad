r"""PaDiM: a Gaussian at every patch (Defard et al. 2020, arXiv:2011.08785).

Feature maps of three levels are brought to the finest one's grid (nearest neighbour) and stacked; d channels of them,
drawn once at random, make the embedding :math:`x_p` of patch p. Its anomaly is the Mahalanobis distance

.. math:: M(x_p) = \sqrt{(x_p - \mu_p)^\top \Sigma_p^{-1} (x_p - \mu_p)}

the map is that, upsampled bilinearly and blurred with sigma 4, and the score is the map's maximum. Drawing the
channels first and upsampling only those gives the same embedding for less.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor

from anomedge.components import (
    FeatureExtractor,
    MultiVariateGaussian,
    RunningMoments,
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
from anomedge.resample import nearest

__all__ = ["Padim", "PadimConfig"]

_FEATURES = {"resnet18": 100, "wide_resnet50_2": 550}
_FEATURES_ELSE = 100


class PadimConfig(Config):
    """`channels` are the drawn ones, ascending, numbered through the stacked layers."""

    channels: tuple[int, ...] = Field(min_length=1, max_length=16384)


class Padim(Pipeline):
    """The fitted detector; `Padim.fit` makes one."""

    name = "padim"
    config_class = PadimConfig
    default_backbone = "resnet18"
    default_strides: ClassVar[tuple[int, ...]] = (4, 8, 16)

    config: PadimConfig

    def __init__(
        self, config: PadimConfig, extractor: FeatureExtractor
    ) -> None:
        super().__init__(config, extractor)
        sizes = map_sizes(extractor, config.size)
        self.grid = sizes[0]
        for i, level in enumerate(sizes):
            self.register_buffer(
                f"patches{i}",
                torch.from_numpy(_nearest_patches(level, self.grid)),
                persistent=False,
            )
        self._drawn = _by_layer(config.channels, extractor.channels)
        for i, drawn in enumerate(self._drawn):
            self.register_buffer(
                f"drawn{i}", torch.from_numpy(drawn), persistent=False
            )
        self.gaussian = MultiVariateGaussian(
            len(config.channels), self.grid[0] * self.grid[1]
        )
        self.to_map = map_resampling(self.grid, config.size, config.sigma)

    @classmethod
    def fit(
        cls,
        batches: Iterable[Tensor],
        extractor: FeatureExtractor,
        size: tuple[int, int],
        seed: int = 0,
        n_features: int | None = None,
        sigma: float = 4.0,
    ) -> Padim:
        """Fit in one pass, keeping sums only: P d^2 numbers, whatever the number of images.

        Args:
            batches: images, float (B, 3, H, W) in [0, 1].
            extractor: the backbone, finest layer first.
            size: (H, W).
            seed: of the draw of channels.
            n_features: d; 100 for resnet18, 550 for wide_resnet50_2, else min(100, all).
            sigma: of the map's blur, in pixels.
        """
        total = sum(extractor.channels)
        wanted = (
            min(_FEATURES.get(extractor.backbone, _FEATURES_ELSE), total)
            if n_features is None
            else n_features
        )
        if not 1 <= wanted <= total:
            raise InputError(
                f"got {wanted} features; expected 1 to {total}, all that {extractor.layers} have"
            )
        drawn = torch.randperm(
            total, generator=torch.Generator().manual_seed(seed)
        )[:wanted]
        channels = tuple(sorted(drawn.tolist()))
        config = checked_config(
            PadimConfig,
            **base_config(extractor, size),
            channels=channels,
            sigma=sigma,
        )
        pipeline = cls(config, extractor).eval()
        moments = RunningMoments(wanted, pipeline.grid[0] * pipeline.grid[1])
        with torch.no_grad():
            for images in batches:
                moments.update(
                    pipeline.embedding(
                        pipeline.drawn(pipeline.features(images))
                    )
                )
        pipeline.gaussian.fit_moments(moments)
        return pipeline

    def drawn(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """The drawn channels alone of the layers that have some."""
        return {
            layer: x.index_select(1, self.get_buffer(f"drawn{i}"))
            for i, (layer, x) in enumerate(features.items())
            if self._drawn[i].size
        }

    def embedding(self, drawn: dict[str, Tensor]) -> Tensor:
        """Drawn channels to the embedding (B, d, P)."""
        used = [i for i, channels in enumerate(self._drawn) if channels.size]
        levels = []
        for i, x in zip(used, drawn.values(), strict=True):
            # Patches first: whole rows are gathered, where gathering columns would move single numbers.
            rows = x.flatten(2).permute(2, 0, 1)
            same = tuple(x.shape[2:]) == self.grid
            levels.append(
                rows
                if same
                else rows.index_select(0, self.get_buffer(f"patches{i}"))
            )
        return torch.cat(levels, dim=2).permute(1, 2, 0)

    def stages(self, images: Tensor) -> dict[str, Tensor]:
        """`features/<layer>`, the drawn channels, `distances` (B, 1, h, w), `anomaly_map` (B, 1, H, W), `score` (B,)."""
        drawn = self.drawn(self.features(images))
        distances = self.gaussian.distance(self.embedding(drawn)).reshape(
            -1, 1, *self.grid
        )
        anomaly_map = self.to_map(distances)
        score = anomaly_map.flatten(1).amax(dim=1)
        named: dict[str, Tensor] = {
            f"features/{layer}": x for layer, x in drawn.items()
        }
        return named | {
            "distances": distances,
            "anomaly_map": anomaly_map,
            "score": score,
        }


def _nearest_patches(
    level: tuple[int, int], grid: tuple[int, int]
) -> npt.NDArray[np.int64]:
    """For each patch of the grid, row by row, the nearest of a coarser level's."""
    rows, columns = (
        nearest(n_in, n_out) for n_in, n_out in zip(level, grid, strict=True)
    )
    return np.asarray(rows[:, None] * level[1] + columns).ravel()


def _by_layer(channels: tuple[int, ...], widths: list[int]) -> list[Any]:
    """The drawn channels of each layer, numbered within it."""
    drawn, ends = np.asarray(channels, dtype=np.int64), np.cumsum(widths)
    if (
        drawn.min() < 0
        or drawn.max() >= ends[-1]
        or (np.diff(drawn) <= 0).any()
    ):
        raise InputError(
            f"got channels up to {drawn.max()}; expected ascending numbers below {ends[-1]}"
        )
    return [
        drawn[(drawn >= end - n) & (drawn < end)] - (end - n)
        for end, n in zip(ends, widths, strict=True)
    ]
