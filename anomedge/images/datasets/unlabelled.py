"""Any other folder of pictures: none is labelled."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from anomedge.images.datasets.base import (
    DataSet,
    DataSetLayout,
    Sample,
    Source,
)
from anomedge.images.datasets.labels import (
    ANOMALOUS,
    NORMAL,
    canonical,
)
from anomedge.images.datasets.mvtec import refuse_anomalous
from anomedge.images.picture import Picture
from anomedge.names import storable

__all__ = ["Unlabelled"]


class Unlabelled(DataSetLayout):
    """A folder of pictures without labels."""

    name = "unlabelled"
    summary = "any other folder of pictures"
    order = 9

    @classmethod
    def matches(cls, source: Source) -> bool:
        """Return True."""
        del source
        return True

    @classmethod
    def read(cls, source: Source) -> DataSet:
        """Return the pictures, unlabelled."""
        samples = [
            Sample(Picture(_name(path.relative_to(source.path)), path))
            for path in source.pictures
        ]
        return DataSet(source.path, cls.name, samples, source.masks)

    @classmethod
    def check_normal(cls, source: Source, data: DataSet) -> None:
        """Refuse a folder with masks, or with labelled folders somewhere below it.

        Raises:
            InputError: it holds these.
        """
        paths = [path.relative_to(source.path) for path in source.pictures]
        if source.masks or _holds_labelled_folders(paths):
            raise refuse_anomalous(
                source.path, (s.picture for s in data.samples)
            )


def _name(inner: PurePath) -> str:
    return storable(inner.as_posix())


def _holds_labelled_folders(paths: Iterable[PurePath]) -> bool:
    """Whether a folder holds one of normal pictures and something else, or one with a name of anomalous pictures."""
    inside: dict[tuple[str, ...], set[str]] = {}
    for path in paths:
        for depth, name in enumerate(path.parts[:-1]):
            inside.setdefault(path.parts[:depth], set()).add(name)
        inside.setdefault(path.parts[:-1], set()).add(path.name)
    return any(_are_labels(names) for names in inside.values())


def _are_labels(names: Iterable[str]) -> bool:
    forms = {canonical(name) for name in names}
    return bool(forms & ANOMALOUS) or (len(forms) > 1 and bool(forms & NORMAL))
