"""Masks beside pictures: KolektorSDD (`Part0.jpg`, `Part0_label.bmp`), KolektorSDD2 (`1.png`, `1_GT.png`), `x.jpg` and `x.png`."""

from __future__ import annotations

from pathlib import Path

from anomedge.images.datasets.base import (
    DataSet,
    DataSetLayout,
    Sample,
    Source,
)
from anomedge.images.datasets.folders import splits_of
from anomedge.images.picture import Picture
from anomedge.names import storable

__all__ = ["MasksBeside"]


class MasksBeside(DataSetLayout):
    """Pictures with masks beside them, in folders whose names are no labels."""

    name = "beside"
    summary = "`Part0.jpg` and `Part0_label.bmp` (KolektorSDD), `1.png` and `1_GT.png`, `x.jpg` and `x.png`"
    order = 3

    @classmethod
    def matches(cls, source: Source) -> bool:
        """Return whether some pictures have a mask beside them."""
        return bool(source.pairs.of)

    @classmethod
    def read(cls, source: Source) -> DataSet:
        """Return the pictures; one is anomalous if its mask marks a pixel, and unlabelled without a mask."""
        inner = [path.relative_to(source.path) for path in source.pictures]
        pairs = zip(source.pictures, splits_of(inner), strict=True)
        samples = [
            Sample(_picture(path, source), split) for path, split in pairs
        ]
        return DataSet(source.path, cls.name, samples, source.masks)


def _picture(path: Path, source: Source) -> Picture:
    mask = source.pairs.of.get(path)
    return Picture(
        name=storable(path.relative_to(source.path).as_posix()),
        path=path,
        anomalous=None if mask is None else mask in source.pairs.marked,
        mask_path=mask,
    )
