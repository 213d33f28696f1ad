r"""Base of detectors with a memory bank of normal patches: fit, folds, refit, and the search of the bank.

A subclass states how feature maps become patches (`Patches.levels`), and computes map and score from the distances.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Annotated, Any, ClassVar, TypeVar

import torch
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
from anomedge.pipelines.data import FitData, fold_name
from anomedge.pipelines.features import (
    FeatureConfig,
    FeatureOptions,
    FeaturePipeline,
    extracted,
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

__all__ = ["BankConfig", "BankOptions", "BankPipeline", "Patches", "Share"]

_MOST_SELECTED_PER_FOLD = 500_000_000
"""Largest product of patches and vectors for a selection per fold, of a minute or less each."""
Size = tuple[int, int]
Share = Annotated[float, Field(gt=0, le=1)]


class BankConfig(FeatureConfig):
    """Configuration; `n_vectors` is the size of the bank.

    `upsampling` is that of the distances to the map before the blur; detectors of anomalib have "nearest".
    """

    n_vectors: Annotated[int, Field(ge=1, le=1 << 24)]
    upsampling: Upsampling = "bilinear"

    newer_fields: ClassVar[tuple[str, ...]] = (
        *FeatureConfig.newer_fields,
        "upsampling",
    )


class BankOptions(FeatureOptions):
    """Fit options of a detector with a bank."""

    coreset: Share = Field(
        0.1, description="Share of the patches to keep, in (0, 1]."
    )


BC = TypeVar("BC", bound=BankConfig)
BO = TypeVar("BO", bound=BankOptions)


class BankPipeline(FeaturePipeline[BC, BO]):
    """A detector that compares patches with a memory bank of normal ones.

    A subclass also states `patches_class`.

    Args:
        config: the configuration.
        extractor: the backbone, finest layer first.
        num_neighbors: of the bank's re-weighted score; 1: the largest distance.
    """

    takes_mask = True
    has_statistics = True
    default_folds: ClassVar[int] = 5
    patches_class: ClassVar[type[Patches]]

    def __init__(
        self, config: BC, extractor: FeatureExtractor, num_neighbors: int = 1
    ) -> None:
        super().__init__(config, extractor)
        self.patches = self.patches_class(extractor, config.size)
        self.bank = MemoryBank(
            config.n_vectors,
            extractor.channels,
            num_neighbors,
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
    def fit(cls, data: FitData, options: BO) -> Self:
        """Collect the patches of all images, then keep a coreset of them."""
        extractor = cls.build_extractor(data, options)
        points, chosen = cls._coreset(extractor, data, options)
        return cls._filled(extractor, data, options, points[chosen])

    @classmethod
    def fit_folds(
        cls,
        data: FitData,
        options: BO,
        folds: Sequence[Sequence[int]],
    ) -> Iterator[Self]:
        """Select a coreset per fold where that is cheap; else the bank of a fold lacks the fold's own vectors.

        Without its own vectors a fold is less well covered than by a coreset of the other images: its distances are too
        large, the more so the fewer vectors there are (decision 0020).
        """
        extractor = cls.build_extractor(data, options)
        remembered = remember(extractor)
        points, chosen = cls._coreset(remembered, data, options, "all pictures")
        rows, images = torch.tensor(chosen), sum(map(len, folds))
        owners = torch.arange(len(points)) // (len(points) // images)
        is_cheap = len(points) * len(chosen) <= _MOST_SELECTED_PER_FOLD
        for number, fold in enumerate(folds):
            others = ~torch.isin(owners, torch.tensor(fold))
            if is_cheap:
                kept = KCenterGreedy(
                    points[others],
                    options.coreset,
                    seed=data.seed,
                    description=_selecting(fold_name(number, len(folds))),
                ).sample_coreset()
            else:
                kept = points[rows[others[rows]]]
            yield cls._filled(remembered, data, options, kept)
        yield cls._filled(extractor, data, options, points[chosen])

    def refit(self, data: FitData, networks: Mapping[str, nn.Module]) -> Self:
        """Return the detector on other networks, with the same patches in its bank where the images have them.

        A coreset that is selected again differs in most vectors, and so do the scores. Each vector is replaced by the
        new features of the patch that it was taken from: the nearest one.
        """
        twin = self.with_networks(
            {**networks, "bank": copy.deepcopy(self.bank)}
        )
        found = RenewedVectors(self.bank.vectors + self.bank.centre)
        used = torch.ones(prod(self.patches.grid), dtype=torch.bool)
        if data.inside is not None:
            used = patches_inside(data.inside, self.patches.grid)
        with torch.no_grad():
            for images in data:
                levels = self.patches.levels(self.features(images))
                renewed = twin.patches(twin.features(images))[:, used]
                distances, rows = (
                    each.reshape(len(images), -1)[:, used].flatten()
                    for each in self.bank.neighbours(levels)
                )
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
        options: BO,
        subject: str = "",
    ) -> tuple[Tensor, list[int]]:
        """Return the patches of all images, image by image, and the rows of their coreset; progress displays name the subject."""
        # Refuse sizes and options before the work.
        cls._config(extractor, data, options, 1)
        points = _concatenated(
            _patch_rows(
                cls.patches_class(extractor, data.size), extractor, data
            )
        )
        greedy = KCenterGreedy(
            points,
            options.coreset,
            seed=data.seed,
            description=_selecting(subject),
        )
        return points, greedy.select_coreset_idxs()

    @classmethod
    def _filled(
        cls,
        extractor: FeatureExtractor,
        data: FitData,
        options: BO,
        vectors: Tensor,
    ) -> Self:
        """Return the detector with a bank of these vectors."""
        config = cls._config(extractor, data, options, len(vectors))
        pipeline = cls(config, extractor).eval()
        pipeline.bank.fill(vectors)
        if pipeline.region is not None and data.inside is not None:
            pipeline.region.fill(data.inside)
        return pipeline

    @classmethod
    def _config(
        cls,
        extractor: FeatureExtractor,
        data: FitData,
        options: BO,
        n_vectors: int,
    ) -> BC:
        """Return the configuration of a bank of so many vectors."""
        config: BC = cls.config_class.of(  # type: ignore[attr-defined]
            extractor,
            data.size,
            n_vectors=n_vectors,
            sigma=options.sigma,
            masked=data.inside is not None,
            **cls._own_values(options),
        )
        return config

    @classmethod
    def _own_values(cls, options: BO) -> dict[str, Any]:
        """Return what the detector's configuration takes from the options besides."""
        del options
        return {}

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

    def config_with_size(self, size: Size) -> BC:
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


class Patches(nn.Module, ABC):
    """Feature maps to patches: levels, upsampled to the finest grid and concatenated.

    Args:
        extractor: the backbone, finest layer first.
        size: height and width of the images.
    """

    def __init__(self, extractor: FeatureExtractor, size: Size) -> None:
        super().__init__()
        sizes = map_sizes(extractor, size)
        self.grid = sizes[0]
        self.upsamplings = [_upsampling(level, self.grid) for level in sizes]

    @abstractmethod
    def levels(self, features: dict[str, Tensor]) -> list[Tensor]:
        """Return maps (B, C_l, h_l, w_l) of patches on the grid of each layer."""

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """Return patches (B, h w, sum of C_l) of maps (B, C_l, h_l, w_l)."""
        maps = []
        levels = self.levels(features)
        for upsample, x in zip(self.upsamplings, levels, strict=True):
            maps.append(x if upsample is None else upsample(x))
        return torch.cat(maps, dim=1).flatten(2).transpose(1, 2)


def _upsampling(level: Size, grid: Size) -> LinearResample2d | None:
    if level == grid:
        return None
    rows, columns = (bilinear(a, b) for a, b in zip(level, grid, strict=True))
    return LinearResample2d(rows, columns)


def _selecting(subject: str) -> str:
    """Return the text of the progress display.

    >>> _selecting("fold 1 of 5"), _selecting("")
    ('selecting the coreset, fold 1 of 5', 'selecting the coreset')
    """
    return "selecting the coreset" + (f", {subject}" if subject else "")


def _patch_rows(
    patches: Patches, extractor: FeatureExtractor, data: FitData
) -> list[Tensor]:
    """Return the patches of each batch, (B h w, C); of h w patches only those in the region.

    Raises:
        InputError: no images.
    """
    rows = []
    for features in extracted(extractor, data):
        found = patches(features)
        if data.inside is not None:
            found = found[:, patches_inside(data.inside, patches.grid)]
        rows.append(found.flatten(0, 1))
    return rows


def _concatenated(rows: list[Tensor]) -> Tensor:
    """Concatenate batches; release each one once it is copied, for half the peak memory of `torch.cat`."""
    points = rows[0].new_empty(sum(map(len, rows)), rows[0].shape[1])
    for part in reversed(torch.split(points, [len(part) for part in rows])):
        part.copy_(rows.pop())
    return points
