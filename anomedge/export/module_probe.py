"""Images to probe a module with: two of the user's, and synthetic ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from anomedge.images import Picture
from anomedge.interop.module import ModulePipeline
from anomedge.interop.probing import Probe, probe
from anomedge.parity.pictures import synthetic
from anomedge.pipelines.data import image_of
from anomedge.pipelines.tiles import Tiles
from anomedge.resample import Geometry

__all__ = ["probed_module"]

_IMAGES = 4
_OF_PICTURES = 2


def probed_module(
    pipeline: ModulePipeline,
    geometry: Geometry,
    pictures: Sequence[Picture],
    batch: int | None,
) -> Probe:
    """Probe a module with images as it gets them, see `anomedge.interop.probing.probe`.

    Args:
        pipeline: the detector around it.
        geometry: how pictures become images.
        pictures: the first of them are used.
        batch: the fixed batch size of the export; None for any.

    Raises:
        ModelError: the module cannot be used.
    """
    made = synthetic(geometry.size, _IMAGES)
    chosen = [*pictures[:_OF_PICTURES], *made][:_IMAGES]
    images = torch.cat([image_of(picture, geometry) for picture in chosen])
    if (tiles := Tiles.of(geometry)) is not None:
        images = tiles.cut(images)[:: tiles.count]
    return probe(pipeline, images, batch)
