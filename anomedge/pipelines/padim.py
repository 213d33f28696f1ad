r"""PaDiM: one Gaussian per patch (Defard et al. 2020, arXiv:2011.08785).

Feature maps of three layers are upsampled to the grid of the finest one (nearest neighbour) and concatenated. d of
their channels, drawn at random once, form the embedding :math:`x_p` of patch p. The anomaly of a patch is the
Mahalanobis distance

.. math:: M(x_p) = \sqrt{(x_p - \mu_p)^\top \Sigma_p^{-1} (x_p - \mu_p)}

The map is the distances, upsampled bilinearly and blurred with sigma 4; the score is the maximum of the map. Drawing
channels before upsampling gives the same embedding with less work.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor, nn

from anomedge.components import (
    FeatureExtractor,
    MultiVariateGaussian,
    RunningMoments,
)
from anomedge.components.estimators.gaussian_without import GaussianFolds
from anomedge.errors import InputError
from anomedge.pipelines.base import Suggestion
from anomedge.pipelines.data import FitData
from anomedge.pipelines.features import (
    FeatureConfig,
    FeatureOptions,
    FeaturePipeline,
)
from anomedge.pipelines.maps import map_resampling, map_sizes
from anomedge.pipelines.regions import RegionMask
from anomedge.pipelines.remembered import remember
from anomedge.resample import Geometry, nearest

__all__ = ["Padim", "PadimConfig", "PadimOptions"]

Integers = npt.NDArray[np.int64]

_DEFAULT_FEATURES = 100
_FEATURES_OF_BACKBONE = {"resnet18": 100, "wide_resnet50_2": 550}
_MOST_FEATURES = 16384


class PadimConfig(FeatureConfig):
    """Configuration; `channels` are the drawn channels of the concatenated layers, ascending."""

    channels: tuple[int, ...] = Field(min_length=1, max_length=_MOST_FEATURES)


class PadimOptions(FeatureOptions):
    """Fit options of PaDiM."""

    features: Annotated[int, Field(ge=1, le=_MOST_FEATURES)] | None = Field(
        None,
        description="Channels to draw; default: 550 for wide_resnet50_2, else 100, at most all.",
    )


class Padim(FeaturePipeline[PadimConfig, PadimOptions]):
    """PaDiM: one Gaussian per patch (Defard et al. 2020)."""

    name = "padim"
    config_class = PadimConfig
    options_class = PadimOptions
    default_backbone = "resnet18"
    default_strides: ClassVar[tuple[int, ...]] = (4, 8, 16)
    takes_mask = True
    has_statistics = True
    # Folds are cheap, and with few images a Gaussian depends on each of them.
    default_folds: ClassVar[int] = 20

    def __init__(
        self, config: PadimConfig, extractor: FeatureExtractor
    ) -> None:
        super().__init__(config, extractor)
        levels = map_sizes(extractor, config.size)
        self.grid = levels[0]
        for i, level in enumerate(levels):
            patches = torch.from_numpy(_nearest_patches(level, self.grid))
            self.register_buffer(f"patches{i}", patches, persistent=False)
        self._drawn = _by_layer(config.channels, extractor.channels)
        for i, drawn in enumerate(self._drawn):
            self.register_buffer(
                f"drawn{i}", torch.from_numpy(drawn), persistent=False
            )
        self.gaussian = MultiVariateGaussian(
            len(config.channels), self.grid[0] * self.grid[1]
        )
        self.to_map = map_resampling(self.grid, config.size, config.sigma)
        self.region = (
            RegionMask(self.grid, config.size, self.to_map)
            if config.masked
            else None
        )

    @classmethod
    def fit(cls, data: FitData, options: PadimOptions) -> Padim:
        """Fit in one pass; memory is P d^2 numbers for P patches, for any number of images."""
        extractor = cls.build_extractor(data, options)
        return cls._fitted(extractor, data, options)[0]

    @classmethod
    def fit_folds(
        cls,
        data: FitData,
        options: PadimOptions,
        folds: Sequence[Sequence[int]],
    ) -> Iterator[Padim]:
        """Fit to all images; a fold's Gaussian is a low-rank change of theirs."""
        extractor = cls.build_extractor(data, options)
        pipeline, moments = cls._fitted(remember(extractor), data, options)
        gaussians = GaussianFolds(moments)
        del moments
        for fold in folds:
            left_out = torch.cat(list(pipeline._embeddings(data.part(fold))))
            changed = gaussians.without(left_out)
            yield pipeline.with_networks({"gaussian": changed})
        yield pipeline.with_extractor(extractor)

    @classmethod
    def _fitted(
        cls,
        extractor: FeatureExtractor,
        data: FitData,
        options: PadimOptions,
    ) -> tuple[Padim, RunningMoments]:
        """Return the detector fitted to all images, and the sums that it was fitted with."""
        config = PadimConfig.of(
            extractor,
            data.size,
            channels=_draw(extractor, options.features, data),
            sigma=options.sigma,
            masked=data.inside is not None,
        )
        pipeline = cls(config, extractor).eval()
        moments = RunningMoments(*pipeline.gaussian.mean.shape)
        for embedding in pipeline._embeddings(data):
            moments.update(embedding)
        pipeline.gaussian.fit_moments(moments)
        if pipeline.region is not None and data.inside is not None:
            pipeline.region.fill(data.inside)
        return pipeline, moments

    def refit(self, data: FitData, networks: Mapping[str, nn.Module]) -> Padim:
        """Return the detector on other networks, with Gaussians of the same channels."""
        twin = self.with_networks(
            {**networks, "gaussian": copy.deepcopy(self.gaussian)}
        )
        moments = RunningMoments(*twin.gaussian.mean.shape)
        for embedding in twin._embeddings(data):
            moments.update(embedding)
        twin.gaussian.fit_moments(moments)
        return twin

    def _embeddings(self, data: FitData) -> Iterator[Tensor]:
        """Yield the embedding (B, d, P) of each batch."""
        for images in data:
            with torch.no_grad():
                drawn = self.drawn(self.features(images))
                yield self.embedding(drawn)

    def drawn(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the drawn channels of each layer that has some."""
        return {
            layer: x.index_select(1, self.get_buffer(f"drawn{i}"))
            for i, (layer, x) in enumerate(features.items())
            if self._drawn[i].size
        }

    def embedding(self, drawn: dict[str, Tensor]) -> Tensor:
        """Return the embedding (B, d, P) of drawn channels."""
        used = [i for i, channels in enumerate(self._drawn) if channels.size]
        levels = []
        for i, x in zip(used, drawn.values(), strict=True):
            # Patches first, so that whole rows are gathered and not single numbers.
            rows = x.flatten(2).permute(2, 0, 1)
            if tuple(x.shape[2:]) != self.grid:
                rows = rows.index_select(0, self.get_buffer(f"patches{i}"))
            levels.append(rows)
        return torch.cat(levels, dim=2).permute(1, 2, 0)

    def stages(self, images: Tensor) -> dict[str, Tensor]:
        """Return `features/<layer>` (drawn channels), `distances` (B, 1, h, w), `anomaly_map` and `score`."""
        drawn = self.drawn(self.features(images))
        rows = self.gaussian.distance(self.embedding(drawn))
        if self.region is not None:
            rows = rows * self.region.patches
        distances = rows.reshape(-1, 1, *self.grid)
        anomaly_map = self.to_map(distances)
        if self.region is not None:
            anomaly_map = self.region.restrict(anomaly_map)
        score = anomaly_map.flatten(1).amax(dim=1)
        named = {f"features/{layer}": x for layer, x in drawn.items()}
        return named | {
            "distances": distances,
            "anomaly_map": anomaly_map,
            "score": score,
        }

    def config_with_layers(self, count: int) -> PadimConfig:
        """Return the configuration with the first layers; channels beyond them are spread over the remaining ones."""
        config = super().config_with_layers(count)
        total = sum(self.extractor.channels[:count])
        if config.channels[-1] < total:
            return config
        n = min(len(config.channels), total)
        channels = tuple(i * total // n for i in range(n))
        return config.model_copy(update={"channels": channels})

    def suggestions(
        self, geometry: Geometry, fitted: int
    ) -> Iterator[Suggestion]:
        """Yield also the detector with half of its channels."""
        yield from super().suggestions(geometry, fitted)
        half = self.config.channels[::2]
        if len(self.config.channels) > 1:
            yield Suggestion(
                "distances",
                f"Half of the channels (fit with --features {len(half)})",
                self.config.model_copy(update={"channels": half}),
            )


def _draw(
    extractor: FeatureExtractor, wanted: int | None, data: FitData
) -> tuple[int, ...]:
    """Draw channels of the concatenated layers; return them in ascending order."""
    total = sum(extractor.channels)
    if wanted is None:
        usual = _FEATURES_OF_BACKBONE.get(extractor.backbone, _DEFAULT_FEATURES)
        wanted = min(usual, total)
    if wanted > total:
        raise InputError(
            f"got {wanted} features; expected 1 to {total}, all that {extractor.layers} have"
        )
    drawn = torch.randperm(total, generator=data.generator())[:wanted]
    return tuple(sorted(drawn.tolist()))


def _nearest_patches(level: tuple[int, int], grid: tuple[int, int]) -> Integers:
    """Return the nearest patch of a coarser level for each patch of the grid, row by row."""
    rows, columns = (
        nearest(n_in, n_out) for n_in, n_out in zip(level, grid, strict=True)
    )
    return np.asarray(rows[:, None] * level[1] + columns).ravel()


def _by_layer(channels: tuple[int, ...], widths: list[int]) -> list[Integers]:
    """Split channels of the concatenated layers by layer; number them within the layer."""
    drawn = np.asarray(channels, dtype=np.int64)
    ends = np.cumsum(widths)
    in_range = drawn.min() >= 0 and drawn.max() < ends[-1]
    if not in_range or (np.diff(drawn) <= 0).any():
        raise InputError(
            f"got channels up to {drawn.max()}; expected ascending numbers below {ends[-1]}"
        )
    layers = []
    for end, width in zip(ends, widths, strict=True):
        begin = end - width
        layers.append(drawn[(drawn >= begin) & (drawn < end)] - begin)
    return layers
