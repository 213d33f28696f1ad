"""Folders named after labels: `ok` and `ng`, `good` and `bad`, `0` and `1`, `MT_Free` and `MT_Crack`.

They may lie in folders `train` and `test`, as in BTAD, and below other folders that hold nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from anomedge.images.datasets.base import (
    DataSet,
    DataSetLayout,
    Sample,
    Source,
    Split,
)
from anomedge.images.datasets.ground_truth import GroundTruthFolder
from anomedge.images.datasets.labels import (
    ANOMALOUS,
    NORMAL,
    SPLITS,
    canonical,
    kind_of_label,
    normal_label_among,
)
from anomedge.images.picture import Picture
from anomedge.names import storable

__all__ = ["LabelFolders", "splits_of"]


class LabelFolders(DataSetLayout):
    """Folders named after labels, one of which is known, or given, as that of the normal pictures."""

    name = "folders"
    summary = "`ok` and `ng`, `good` and `bad`, `0` and `1`, `MT_Free` and `MT_Crack`; also in `train` and `test`, as BTAD"
    order = 2

    @classmethod
    def matches(cls, source: Source) -> bool:
        """Return whether one of the folders has a name of normal pictures.

        Folders below others must have known names only, or be named by the user. A name that the user gives is ignored for
        a folder without subfolders, so that it may be given beside plain folders.
        """
        places = _places(source)
        if all(place.label is None for place in places):
            return False
        normal = _normal(source, places)
        if normal is None or source.normal is not None:
            return normal is not None
        others = {place.label for place in places} - {None, normal}
        known = {canonical(str(label)) for label in others} <= ANOMALOUS
        return known or not any(place.below for place in places)

    @classmethod
    def read(cls, source: Source) -> DataSet:
        """Return the pictures; those outside of the folders are unlabelled."""
        places = _places(source)
        normal = _normal(source, places)
        truths = _GroundTruths(source)
        samples = []
        for path, place in zip(source.pictures, places, strict=True):
            mask = truths.mask(path, place) or source.pairs.of.get(path)
            picture = _picture(path, source, place.label, normal, mask)
            samples.append(Sample(picture, place.split))
        return DataSet(source.path, cls.name, samples, source.masks)


class _Place(NamedTuple):
    """Place of a picture in its data set.

    Attributes:
        split: named by a folder, or None.
        label: name of the folder of the label, or None.
        inner: path of the picture from the folder that holds the labels.
        below: the labels lie below another folder than a split's.
    """

    split: Split | None
    label: str | None
    inner: PurePath
    below: bool


class _GroundTruths:
    """The masks in folders `ground_truth`, beside or within the folders that hold labels."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._folders: dict[Path, GroundTruthFolder] = {}

    def mask(self, path: Path, place: _Place) -> Path | None:
        """Return the mask of a picture, or None."""
        root = path
        for _ in place.inner.parts:
            root = root.parent
        if root not in self._folders:
            self._folders[root] = GroundTruthFolder(root)
        return self._folders[root].mask(place.inner)


def splits_of(paths: Sequence[PurePath]) -> list[Split | None]:
    """Return the split that the first folder of each relative path names; all None unless every folder names one.

    Files outside of folders are in no split.

    >>> splits_of([PurePath("train/ok/1.png"), PurePath("preview.png")])
    ['train', None]
    """
    folders = [path.parts[:-1] for path in paths]
    splits = [
        SPLITS.get(canonical(names[0])) if names else None for names in folders
    ]
    pairs = zip(folders, splits, strict=True)
    inside = [split for names, split in pairs if names]
    return [None] * len(splits) if None in inside else splits


def _places(source: Source) -> list[_Place]:
    """Return the place of each picture, below the folders that hold all pictures."""
    found = [path.relative_to(source.path) for path in source.pictures]
    given = canonical(source.normal or "")
    known = NORMAL | ANOMALOUS | SPLITS.keys() | {"0", "1", given}
    shared = _shared_folders(found)
    count = 0
    while count < len(shared) and canonical(shared[count]) not in known:
        count += 1
    inner = [PurePath(*path.parts[count:]) for path in found]
    return [
        _place(path, split, count > 0)
        for path, split in zip(inner, splits_of(inner), strict=True)
    ]


def _shared_folders(paths: Sequence[PurePath]) -> list[str]:
    """Return the leading folders that all paths have."""
    shared = []
    for names in zip(*(path.parts[:-1] for path in paths), strict=False):
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    return shared


def _place(path: PurePath, split: Split | None, below: bool) -> _Place:
    inner = PurePath(*path.parts[1:]) if split else path
    label = inner.parts[0] if len(inner.parts) > 1 else None
    return _Place(split, label, inner, below)


def _normal(source: Source, places: Iterable[_Place]) -> str | None:
    """Return the name of the folders of normal pictures, or None."""
    labels = {place.label for place in places if place.label is not None}
    return normal_label_among(labels, source.normal, str(source.path))


def _picture(
    path: Path,
    source: Source,
    label: str | None,
    normal: str | None,
    mask: Path | None,
) -> Picture:
    anomalous = None if label is None else label != normal
    return Picture(
        name=storable(path.relative_to(source.path).as_posix()),
        path=path,
        anomalous=anomalous,
        # The mask of a defect may have the name of a normal picture, too.
        mask_path=None if anomalous is False else mask,
        kind=kind_of_label(label) if label and anomalous else "",
    )
