"""A labelled data set: pictures, kinds of defect, and checks before the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anomedge.errors import InputError
from anomedge.images import Picture, read_folder
from anomedge.names import indented

__all__ = ["LabelledPictures", "check_headers", "read_labelled"]

_OTHER = "anomalous"
"""Kind of all anomalous pictures if folders do not tell kinds."""
_NORMAL = "good"
_SHOWN = 5


@dataclass(frozen=True)
class LabelledPictures:
    """Labelled pictures.

    Attributes:
        folder: the folder they were read from.
        pictures: pictures with a label.
        kinds: kind of defect of each picture; "good" for normal ones.
        unlabelled: number of pictures without a label, which are left out.
    """

    folder: Path
    pictures: Sequence[Picture]
    kinds: Sequence[str]
    unlabelled: int

    @property
    def anomalous(self) -> npt.NDArray[np.bool_]:
        """Label of each picture, (n,)."""
        return np.array([bool(picture.anomalous) for picture in self.pictures])

    @property
    def defects(self) -> list[str]:
        """Kinds of defect, sorted."""
        pairs = zip(self.pictures, self.kinds, strict=True)
        return sorted({kind for picture, kind in pairs if picture.anomalous})


def read_labelled(folder: Path, normal: str | None = None) -> LabelledPictures:
    """Read a folder or list of labelled pictures.

    A kind of defect is the one that the data set states. Without any, it is the
    first folder of a picture's name, unless that folder holds normal and
    anomalous pictures.

    Args:
        folder: as for `anomedge.images.read_folder`.
        normal: label of the normal pictures; the known ones if None.

    Raises:
        InputError: the folder cannot be read, or no picture has a label.
    """
    found = read_folder(folder, normal)
    pictures = [each for each in found if each.anomalous is not None]
    if not pictures:
        raise InputError(
            f"{folder}: got {len(found)} pictures without a label; expected a folder `good` of normal pictures and one "
            f"folder for each kind of defect, as in MVTec AD, or the label of normal pictures with --normal"
        )
    return LabelledPictures(
        folder, pictures, _kinds_of(pictures), len(found) - len(pictures)
    )


def check_headers(
    pictures: Sequence[Picture], frame: tuple[int, int] | None
) -> None:
    """Check the headers of pictures and masks; none is decoded.

    Args:
        pictures: pictures of a data set.
        frame: (height, width) that a bundle takes; None for any size.

    Raises:
        InputError: files that are no pictures, or pictures of another size.
    """
    faults: list[str] = []
    for picture in pictures:
        try:
            picture.check_mask_shape(picture.stated_size(frame))
        except InputError as error:
            faults.append(str(error))
    if faults:
        wanted = "any size" if frame is None else "x".join(map(str, frame))
        raise InputError(
            f"got {len(faults)} of {len(pictures)} pictures that cannot be evaluated; expected whole pictures of {wanted}: "
            f"leave these out, or evaluate the model file, which takes any size:{indented(faults, _SHOWN)}"
        )


def _kinds_of(pictures: Sequence[Picture]) -> list[str]:
    if any(picture.kind for picture in pictures):
        return [_kind(picture, picture.kind, False) for picture in pictures]
    folders = [picture.name.rpartition("/")[0] for picture in pictures]
    kinds = [folder.partition("/")[0] for folder in folders]
    pairs = list(zip(pictures, kinds, strict=True))
    mixed = {kind for picture, kind in pairs if not picture.anomalous}
    return [_kind(picture, kind, kind in mixed) for picture, kind in pairs]


def _kind(picture: Picture, folder: str, mixed: bool) -> str:
    if not picture.anomalous:
        return _NORMAL
    return _OTHER if mixed or not folder else folder
