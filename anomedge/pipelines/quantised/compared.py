"""Images that a quantisation reads, and their scores before and after."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anomedge.images import Picture
from anomedge.pipelines.crossfit import Scored
from anomedge.pipelines.data import PictureBatches
from anomedge.pipelines.model import Model
from anomedge.pipelines.quantised.options import QuantiseOptions
from anomedge.pipelines.sensitivity import PlantedBatches, plan_defects
from anomedge.pipelines.tiles import Tiles
from anomedge.progress import track
from anomedge.resample import Geometry

__all__ = [
    "NOTHING",
    "PROBED",
    "Batches",
    "Compared",
    "Images",
    "Shown",
    "Tiled",
    "region_of",
]

PROBED = 4
"""Pictures, and synthetic defects, on which the effect of each product is measured."""

_MOST_BYTES = 1 << 30
"""Largest size of the kept images of a kind; more are read again in each pass."""

Batches = Iterable[Tensor]

NOTHING = Scored(np.empty(0), None)
"""Scores of no images."""


@dataclass(frozen=True)
class Images:
    """Batches of images (B, 3, H, W): normal pictures, synthetic defects on them, labelled pictures, those of the proof.

    Every detector that is tried scores all of them. Up to 1 GiB of a kind is read once and kept.
    """

    normal: Batches
    fitted: Batches
    defects: Batches
    labelled: Batches
    proven: Batches

    @classmethod
    def of(cls, model: Model, options: QuantiseOptions) -> Images:
        """Read the pictures and plant the defects."""
        geometry, tiles = model.geometry, Tiles.of(model.geometry)
        count = 1 if tiles is None else tiles.count
        batch = max(1, options.batch // count)
        seed = model.card.seed
        planned = plan_defects(len(options.pictures), seed)
        planted = PlantedBatches(
            options.pictures, planned, geometry, batch, region_of(model)
        )

        def read(pictures: Sequence[Picture], kind: str) -> Batches:
            if not pictures:
                return []
            batches = PictureBatches(pictures, geometry, batch)
            description = f"reading {kind} pictures"
            return _kept(batches, len(pictures), geometry, description)

        normal = read(options.pictures, "calibration")
        return cls(
            normal,
            read(options.refit_on, "fitting") or normal,
            _kept(planted, len(planned), geometry, "planting synthetic defects")
            if planned
            else [],
            read(options.labelled, "labelled"),
            read(options.proven, "golden"),
        )

    def kinds(self) -> dict[str, Batches]:
        """Return the compared images by kind, in the order of `Compared`."""
        return {
            "normal pictures": self.normal,
            "synthetic defects": self.defects,
            "labelled pictures": self.labelled,
            "golden pictures": self.proven,
        }

    def probed(self) -> list[Tensor]:
        """Return the first images of the statistics, and the first defects."""
        return [
            next(iter(batches))[:PROBED]
            for batches in (self.fitted, self.defects)
            if batches
        ]


@dataclass(frozen=True)
class Compared:
    """Scores of images by one detector.

    Attributes:
        normal: normal pictures.
        defects: synthetic defects on them.
        labelled: labelled pictures.
        proven: pictures of the proof.
        left_out: normal pictures by detectors that were fitted without them, see `cross_fitted`.
    """

    normal: Scored
    defects: Scored
    labelled: Scored
    proven: Scored = NOTHING
    left_out: Scored = NOTHING

    def scores(self) -> np.ndarray[Any, Any]:
        """Return all scores, (N,)."""
        return np.concatenate([part.scores for part in self._parts])

    def peaks(self) -> np.ndarray[Any, Any] | None:
        """Return the largest value of each map, (N,); None without maps."""
        peaks = [part.peaks for part in self._parts if len(part)]
        if any(each is None for each in peaks):
            return None
        return np.concatenate([each for each in peaks if each is not None])

    @property
    def _parts(self) -> tuple[Scored, ...]:
        return (
            self.normal,
            self.defects,
            self.labelled,
            self.proven,
            self.left_out,
        )


@dataclass(frozen=True)
class Shown:
    """Batches with a progress display for each pass over them; without a total, if their number is unknown."""

    batches: Batches
    description: str

    def __iter__(self) -> Iterator[Tensor]:
        batches = self.batches
        total = len(batches) if isinstance(batches, Sized) else None
        return track(batches, self.description, total)


@dataclass(frozen=True)
class Tiled:
    """Batches of the tiles (B, 3, h, w) of images."""

    images: Batches
    tiles: Tiles
    batch: int

    def __iter__(self) -> Iterator[Tensor]:
        for images in self.images:
            yield from torch.split(self.tiles.cut(images), self.batch)


def _kept(
    batches: PictureBatches | PlantedBatches,
    count: int,
    geometry: Geometry,
    description: str,
) -> Batches:
    """Return the batches as a list, unless the images are too large together."""
    height, width = geometry.image
    needed = count * 3 * height * width * torch.float32.itemsize
    if needed > _MOST_BYTES:
        return batches
    return list(replace(batches, description=description))


def region_of(model: Model) -> Tensor | None:
    """Return the pixels of the detector's region, bool (H, W); None for the whole image."""
    region = getattr(model.pipeline, "region", None)
    return None if region is None else region.inside
