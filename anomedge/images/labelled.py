"""Read folders of pictures, with labels and masks if a folder has the layout of MVTec AD."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from anomedge.errors import InputError
from anomedge.images.listing import GROUND_TRUTH, list_pictures, scan_folder
from anomedge.images.picture import Picture
from anomedge.names import storable

__all__ = ["read_folder", "read_folders", "read_normal"]

_GOOD, _TEST = "good", "test"


def read_folder(folder: Path) -> list[Picture]:
    """Read the pictures of a folder, with labels and masks if it has the layout of MVTec AD.

    If the folder or its subfolder `test` holds a folder `good`, pictures in `good` are normal and all others anomalous,
    and `ground_truth/<kind>/<name>_mask.png` beside or within it is a picture's mask. Otherwise the pictures are
    unlabelled. Files below a folder `ground_truth` are masks, never pictures.

    Raises:
        InputError: as `list_pictures`, or the masks cannot be listed.
    """
    root = _labelled_root(folder)
    labelled = (root / _GOOD).is_dir()
    masks = _mask_folder(root) if labelled else None
    return [
        _picture(path, root, labelled, masks) for path in list_pictures(root)
    ]


def read_normal(folder: Path) -> list[Picture]:
    """Read the pictures of a folder and require that all are normal; labels and masks as in `read_folder`.

    Raises:
        InputError: as `read_folder`, or some pictures are anomalous according to the layout.
    """
    pictures = read_folder(folder)
    labelled = pictures[0].anomalous is not None
    anomalous = any(picture.anomalous for picture in pictures)
    if anomalous or (not labelled and _holds_labelled_folders(folder)):
        kinds: set[str] = set()
        for picture in pictures:
            kinds.update(picture.name.split("/")[:-1])
        raise InputError(
            f"{folder} holds anomalous pictures ({', '.join(sorted(kinds))}); expected only normal pictures: "
            f"give train/good, or another folder of normal pictures"
        )
    if _labelled_root(folder) != folder:
        raise InputError(
            f"{folder} holds a folder `test`; expected only normal pictures: give {folder / 'train'}"
        )
    return pictures


def read_folders(folders: Sequence[Path]) -> list[Picture]:
    """Read the pictures of several folders; with more than one, names start with the folder's number and name."""
    if len(folders) == 1:
        return read_folder(folders[0])
    pictures = []
    for number, folder in enumerate(folders, start=1):
        prefix = f"{number}-{storable(folder.name)}"
        for picture in read_folder(folder):
            pictures.append(replace(picture, name=f"{prefix}/{picture.name}"))
    return pictures


def _labelled_root(folder: Path) -> Path:
    """Return the folder that may hold `good`: `test` in a complete data set, else the folder itself."""
    return folder / _TEST if (folder / _TEST / _GOOD).is_dir() else folder


def _mask_folder(root: Path) -> Path | None:
    """Return the folder of masks beside or within a labelled folder, or None; refuse one with unreadable entries."""
    for masks in (root.parent / GROUND_TRUTH, root / GROUND_TRUTH):
        if masks.is_dir():
            scan_folder(masks).require_complete()
            return masks
    return None


def _holds_labelled_folders(folder: Path) -> bool:
    """Whether an unlabelled folder holds masks, or a subfolder with `good` and other folders beside it."""
    listing = scan_folder(folder)
    if listing.masks:
        return True
    paths = [path.relative_to(folder).parts for path in listing.pictures]
    roots = {
        parts[: parts.index(_GOOD)] for parts in paths if _GOOD in parts[:-1]
    }
    return any(_is_beside_good(parts, roots) for parts in paths)


def _is_beside_good(
    parts: tuple[str, ...], roots: Iterable[tuple[str, ...]]
) -> bool:
    """Whether a path lies in one of the folders that hold `good`, but not in `good` itself."""
    return any(
        parts[: len(root)] == root and parts[len(root)] != _GOOD
        for root in roots
    )


def _picture(
    path: Path, root: Path, labelled: bool, masks: Path | None
) -> Picture:
    inner = path.relative_to(root)
    name = storable(inner.as_posix())
    if not labelled:
        return Picture(name=name, path=path)
    anomalous = inner.parts[0] != _GOOD
    mask = (
        masks / inner.parent / f"{path.stem}_mask.png"
        if masks is not None and anomalous
        else None
    )
    known = mask if mask is not None and mask.is_file() else None
    return Picture(name=name, path=path, anomalous=anomalous, mask_path=known)
