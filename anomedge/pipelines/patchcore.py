r"""PatchCore: nearest neighbours in a memory bank of normal patches (Roth et al. 2022, arXiv:2106.08265).

Feature maps of two middle layers are averaged over 3x3 neighbourhoods, upsampled to the grid of the finer one
(bilinear) and concatenated. The memory bank :math:`M` is a greedy k-center coreset of the normal patches. The anomaly
of a patch is the distance :math:`\min_{m \in M} \lVert x_p - m \rVert`. The map is the distances, upsampled bilinearly
and blurred with sigma 4. The score is the largest distance, re-weighted by the neighbourhood of its nearest bank vector
(`MemoryBank`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from typing_extensions import Self

from anomedge.components import (
    FeatureExtractor,
    KCenterGreedy,
    LinearResample2d,
    MemoryBank,
)
from anomedge.components.estimators.int8_search import (
    CANDIDATES,
    WITH_DOT_PRODUCTS,
)
from anomedge.errors import InputError
from anomedge.pipelines.base import Suggestion
from anomedge.pipelines.data import FitData
from anomedge.pipelines.features import (
    FeatureConfig,
    FeatureOptions,
    FeaturePipeline,
)
from anomedge.pipelines.maps import (
    Upsampling,
    map_resampling,
    map_sizes,
)
from anomedge.pipelines.regions import RegionMask, patches_inside
from anomedge.pipelines.remembered import remember
from anomedge.pipelines.renewed_vectors import RenewedVectors
from anomedge.resample import Geometry, bilinear

__all__ = ["Patchcore", "PatchcoreConfig", "PatchcoreOptions"]

_MOST_SELECTED_PER_FOLD = 500_000_000
"""Largest product of patches and vectors for a selection per fold, of a minute or less each."""
Size = tuple[int, int]
Neighbors = Annotated[int, Field(ge=1, le=1024)]


class PatchcoreConfig(FeatureConfig):
    """Configuration; `n_vectors` is the size of the bank, `num_neighbors` the b of the re-weighting.

    `upsampling` is that of the distances to the map before the blur; detectors of anomalib have "nearest".
    """

    n_vectors: Annotated[int, Field(ge=1, le=1 << 24)]
    num_neighbors: Neighbors = 9
    upsampling: Upsampling = "bilinear"

    newer_fields: ClassVar[tuple[str, ...]] = (
        *FeatureConfig.newer_fields,
        "upsampling",
    )


class PatchcoreOptions(FeatureOptions):
    """Fit options of PatchCore."""

    coreset: Annotated[float, Field(gt=0, le=1)] = Field(
        0.1, description="Share of the patches to keep, in (0, 1]."
    )
    neighbors: Neighbors = Field(
        9,
        description="Neighbours of the score's re-weighting, 1 to 1024; 1 turns it off.",
    )


class Patchcore(FeaturePipeline[PatchcoreConfig, PatchcoreOptions]):
    """PatchCore: nearest normal patches (Roth et al. 2022)."""

    name = "patchcore"
    config_class = PatchcoreConfig
    options_class = PatchcoreOptions
    default_backbone = "wide_resnet50_2"
    default_strides: ClassVar[tuple[int, ...]] = (8, 16)
    takes_mask = True
    has_statistics = True
    default_folds: ClassVar[int] = 5

    def __init__(
        self, config: PatchcoreConfig, extractor: FeatureExtractor
    ) -> None:
        super().__init__(config, extractor)
        self.patches = Patches(extractor, config.size)
        self.bank = MemoryBank(
            config.n_vectors,
            extractor.channels,
            config.num_neighbors,
            upsample=self.patches.upsamplings,
        )
        self.to_map = map_resampling(
            self.patches.grid, config.size, config.sigma, config.upsampling
        )
        self.region = (
            RegionMask(self.patches.grid, config.size, self.to_map)
            if config.masked
            else None
        )

    @classmethod
    def fit(cls, data: FitData, options: PatchcoreOptions) -> Patchcore:
        """Collect the patches of all images, then keep a coreset of them."""
        extractor = cls.build_extractor(data, options)
        points, chosen = cls._coreset(extractor, data, options)
        return cls._filled(extractor, data, options, points[chosen])

    @classmethod
    def fit_folds(
        cls,
        data: FitData,
        options: PatchcoreOptions,
        folds: Sequence[Sequence[int]],
    ) -> Iterator[Patchcore]:
        """Select a coreset per fold where that is cheap; else the bank of a fold lacks the fold's own vectors.

        Without its own vectors a fold is less well covered than by a coreset of the other images: its distances are too
        large, the more so the fewer vectors there are (decision 0020).
        """
        extractor = cls.build_extractor(data, options)
        remembered = remember(extractor)
        points, chosen = cls._coreset(remembered, data, options)
        rows, images = torch.tensor(chosen), sum(map(len, folds))
        owners = torch.arange(len(points)) // (len(points) // images)
        is_cheap = len(points) * len(chosen) <= _MOST_SELECTED_PER_FOLD
        for fold in folds:
            others = ~torch.isin(owners, torch.tensor(fold))
            if is_cheap:
                kept = KCenterGreedy(
                    points[others], options.coreset, seed=data.seed
                ).sample_coreset()
            else:
                kept = points[rows[others[rows]]]
            yield cls._filled(remembered, data, options, kept)
        yield cls._filled(extractor, data, options, points[chosen])

    def refit(
        self, data: FitData, networks: Mapping[str, nn.Module]
    ) -> Patchcore:
        """Return the detector on other networks, with the same patches in its bank where the images have them.

        A coreset that is selected again differs in most vectors, and so do the scores. Each vector is replaced by the
        new features of the patch that it was taken from: the nearest one.
        """
        twin = self.with_networks(
            {**networks, "bank": copy.deepcopy(self.bank)}
        )
        found = RenewedVectors(self.bank.vectors + self.bank.centre)
        with torch.no_grad():
            for images in data:
                levels = self.patches.pooled(self.features(images))
                renewed = twin.patches(twin.features(images))
                distances, rows = self.bank.neighbours(levels)
                found.take(distances, rows, renewed.flatten(0, 1))
        if found.are_of_other_images:
            twin.bank.fill(twin._selected(data))
        else:
            twin.bank.fill(found.vectors)
        return twin

    def _selected(self, data: FitData) -> Tensor:
        """Return a coreset of images, of the size of the bank."""
        rows = []
        with torch.no_grad():
            for images in data:
                patches = self.patches(self.features(images))
                if data.inside is not None:
                    inside = patches_inside(data.inside, self.patches.grid)
                    patches = patches[:, inside]
                rows.append(patches.flatten(0, 1))
        points, wanted = _concatenated(rows), self.config.n_vectors
        if len(points) < wanted:
            raise InputError(
                f"got {len(points)} patches for a bank of {wanted} vectors; expected at least as many: give more pictures"
            )
        share = min(1.0, (wanted + 0.5) / len(points))
        return KCenterGreedy(points, share, seed=data.seed).sample_coreset()

    @classmethod
    def _coreset(
        cls,
        extractor: FeatureExtractor,
        data: FitData,
        options: PatchcoreOptions,
    ) -> tuple[Tensor, list[int]]:
        """Return the patches of all images, image by image, and the rows of their coreset."""
        # Refuse sizes and options before the work.
        cls._config(extractor, data, options, n_vectors=1)
        points = _concatenated(_patch_rows(extractor, data))
        greedy = KCenterGreedy(points, options.coreset, seed=data.seed)
        return points, greedy.select_coreset_idxs()

    @classmethod
    def _filled(
        cls,
        extractor: FeatureExtractor,
        data: FitData,
        options: PatchcoreOptions,
        vectors: Tensor,
    ) -> Patchcore:
        """Return the detector with a bank of these vectors."""
        config = cls._config(extractor, data, options, len(vectors))
        pipeline = cls(config, extractor).eval()
        pipeline.bank.fill(vectors)
        if pipeline.region is not None and data.inside is not None:
            pipeline.region.fill(data.inside)
        return pipeline

    @staticmethod
    def _config(
        extractor: FeatureExtractor,
        data: FitData,
        options: PatchcoreOptions,
        n_vectors: int,
    ) -> PatchcoreConfig:
        return PatchcoreConfig.of(
            extractor,
            data.size,
            n_vectors=n_vectors,
            num_neighbors=options.neighbors,
            sigma=options.sigma,
            masked=data.inside is not None,
        )

    def stages(self, images: Tensor) -> dict[str, Tensor]:
        """Return `features/<layer>`, `distances` (B, 1, h, w), `anomaly_map` and `score`."""
        features = self.features(images)
        inside = None if self.region is None else self.region.patches
        found = self.bank.examine(self.patches.pooled(features), inside)
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

    def with_int8_search(
        self, candidates: int = CANDIDATES, limit: int = WITH_DOT_PRODUCTS
    ) -> Self:
        """Return this detector with an INT8 search of its bank; all other tensors are shared.

        It has the stages `search/proven` and `search/excess` (B, 1, h, w) as well, see `Proof`.
        """
        twin = copy.copy(self)
        bank = self.bank.with_int8_search(candidates, limit)
        twin._modules = self._modules | {"bank": bank}
        return twin

    def config_with_size(self, size: Size) -> PatchcoreConfig:
        """Return the configuration for another image size; the bank shrinks with the number of patches."""
        share = prod(size) / prod(self.config.size)
        n_vectors = max(1, round(self.config.n_vectors * share))
        return (
            super()
            .config_with_size(size)
            .model_copy(update={"n_vectors": n_vectors})
        )

    def suggestions(
        self, geometry: Geometry, fitted: int
    ) -> Iterator[Suggestion]:
        """Yield also the detector with half of its bank."""
        yield from super().suggestions(geometry, fitted)
        n_vectors = self.config.n_vectors
        if n_vectors < 2:
            return
        patches = prod(self.patches.grid) * fitted
        option = (
            f", fit with --coreset {n_vectors / 2 / patches:.2g}"
            if patches >= n_vectors
            else ""
        )
        yield Suggestion(
            "distances",
            f"Half of the bank ({n_vectors // 2:,} vectors{option})",
            self.config.model_copy(update={"n_vectors": n_vectors // 2}),
        )


class Patches(torch.nn.Module):
    """Feature maps to patches: averaged over 3x3, upsampled to the finest grid, concatenated.

    Args:
        extractor: the backbone, finest layer first.
        size: height and width of the images.
    """

    def __init__(self, extractor: FeatureExtractor, size: Size) -> None:
        super().__init__()
        sizes = map_sizes(extractor, size)
        self.grid = sizes[0]
        self.upsamplings = [_upsampling(level, self.grid) for level in sizes]

    def pooled(self, features: dict[str, Tensor]) -> list[Tensor]:
        """Average each map (B, C_l, h_l, w_l) over 3x3."""
        return [
            F.avg_pool2d(x, kernel_size=3, stride=1, padding=1)
            for x in features.values()
        ]

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """Return patches (B, h w, sum of C_l) of maps (B, C_l, h_l, w_l)."""
        levels = []
        pooled = self.pooled(features)
        for upsample, x in zip(self.upsamplings, pooled, strict=True):
            levels.append(x if upsample is None else upsample(x))
        return torch.cat(levels, dim=1).flatten(2).transpose(1, 2)


def _upsampling(level: Size, grid: Size) -> LinearResample2d | None:
    if level == grid:
        return None
    rows, columns = (bilinear(a, b) for a, b in zip(level, grid, strict=True))
    return LinearResample2d(rows, columns)


def _patch_rows(extractor: FeatureExtractor, data: FitData) -> list[Tensor]:
    """Return the patches of each batch, (B h w, C); of h w patches only those in the region.

    Raises:
        InputError: no images.
    """
    patches = Patches(extractor, data.size)
    mean = torch.tensor(extractor.mean).reshape(1, 3, 1, 1)
    std = torch.tensor(extractor.std).reshape(1, 3, 1, 1)
    rows = []
    with torch.no_grad():
        for images in data:
            features = extractor.eval()((images - mean) / std)
            found = patches(features)
            if data.inside is not None:
                found = found[:, patches_inside(data.inside, patches.grid)]
            rows.append(found.flatten(0, 1))
    if not rows:
        raise InputError(
            "got no picture; expected at least one: give more pictures"
        )
    return rows


def _concatenated(rows: list[Tensor]) -> Tensor:
    """Concatenate batches; release each one once it is copied, for half the peak memory of `torch.cat`."""
    points = rows[0].new_empty(sum(map(len, rows)), rows[0].shape[1])
    for part in reversed(torch.split(points, [len(part) for part in rows])):
        part.copy_(rows.pop())
    return points
