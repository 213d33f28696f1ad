"""MVTec AD: `train/good`, `test/good`, `test/<kind>`, and masks in `ground_truth/<kind>/<stem>_mask.png`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from anomedge.errors import InputError
from anomedge.images.datasets.base import (
    DataSet,
    DataSetLayout,
    Sample,
    Source,
)
from anomedge.images.datasets.ground_truth import GroundTruthFolder
from anomedge.images.datasets.labels import (
    ANOMALOUS,
    canonical,
    kind_of_label,
    normal_label_among,
)
from anomedge.images.picture import Picture
from anomedge.names import storable

__all__ = ["Mvtec", "refuse_anomalous"]

_GOOD, _TEST = "good", "test"


class Mvtec(DataSetLayout):
    """A folder with `good` and one folder for each kind of defect, or a data set with such a folder `test`.

    Of a whole data set, the folder `test` is read.
    """

    name = "mvtec"
    summary = "MVTec AD: `train/good`, `test/good`, `test/<kind>`, `ground_truth/<kind>/<name>_mask.png`"
    order = 1

    @classmethod
    def matches(cls, source: Source) -> bool:
        """Return whether the folder or its subfolder `test` holds `good`, and not only general names beside it.

        If the user names the normal label, folders are read by `LabelFolders`.
        """
        root = _root(source.path)
        if source.normal is not None or not (root / _GOOD).is_dir():
            return False
        return root != source.path or not _has_general_names(source)

    @classmethod
    def read(cls, source: Source) -> DataSet:
        """Return the pictures: those in `good` are normal, all others anomalous."""
        root = _root(source.path)
        # The same source has listed its folder and examined its masks already.
        inner = source if root == source.path else Source(root, source.normal)
        truth = GroundTruthFolder(inner.path)
        samples = [
            Sample(_picture(path, inner, truth)) for path in inner.pictures
        ]
        _refuse_other_normal_names(inner)
        return DataSet(source.path, cls.name, samples, inner.masks)

    @classmethod
    def check_normal(cls, source: Source, data: DataSet) -> None:
        """Refuse folders of anomalous pictures, and whole data sets.

        Raises:
            InputError: it is one of these.
        """
        pictures = [sample.picture for sample in data.samples]
        if any(picture.anomalous for picture in pictures):
            raise refuse_anomalous(source.path, pictures)
        if _root(source.path) != source.path:
            raise InputError(
                f"{source.path} holds a folder `test`; expected only normal pictures: give {source.path / 'train'}, or "
                f"--normal-label good to fit to those of `train`"
            )


def refuse_anomalous(folder: Path, pictures: Iterable[Picture]) -> InputError:
    """Return the error for a folder that holds anomalous pictures among normal ones."""
    kinds: set[str] = set()
    for picture in pictures:
        kinds.update(picture.name.split("/")[:-1])
    return InputError(
        f"{folder} holds anomalous pictures ({', '.join(sorted(kinds))}); expected only normal pictures: "
        f"give train/good or another folder of normal pictures, or name their label with --normal-label"
    )


def _root(folder: Path) -> Path:
    """Return the folder that may hold `good`: `test` in a complete data set, else the folder itself."""
    return folder / _TEST if (folder / _TEST / _GOOD).is_dir() else folder


def _has_general_names(source: Source) -> bool:
    """Whether the folders beside `good` are all of names such as `bad`, so that the layout is that of two labels."""
    if source.path.name == _TEST:
        return False
    others = {canonical(name) for name in _folders(source) - {_GOOD}}
    return bool(others) and others <= ANOMALOUS


def _folders(source: Source) -> set[str]:
    """Return the names of the folders that hold the pictures."""
    inner = [path.relative_to(source.path) for path in source.pictures]
    return {path.parts[0] for path in inner if len(path.parts) > 1}


def _refuse_other_normal_names(source: Source) -> None:
    """Refuse a second folder with a name of normal pictures; its pictures would count as anomalous."""
    normal_label_among(
        _folders(source) | {_GOOD}, source.normal, str(source.path)
    )


def _picture(path: Path, source: Source, truth: GroundTruthFolder) -> Picture:
    inner = path.relative_to(source.path)
    folder = inner.parts[0] if len(inner.parts) > 1 else ""
    anomalous = folder != _GOOD
    mask = truth.mask(inner) or source.pairs.of.get(path)
    return Picture(
        name=storable(inner.as_posix()),
        path=path,
        anomalous=anomalous,
        # The mask of a defect may have the name of a normal picture, too.
        mask_path=mask if anomalous else None,
        kind=kind_of_label(folder) if anomalous else "",
    )
