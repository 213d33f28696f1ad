"""Read data sets and folders of pictures: labels, masks and splits, whatever the layout."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from anomedge.images.datasets import (
    DATA_SETS,
    DataSet,
    DataSetLayout,
    Selection,
    Source,
    Split,
)
from anomedge.images.datasets.listed import ListReader
from anomedge.images.datasets.lists import is_list
from anomedge.images.listing import Listing, scan_folder
from anomedge.images.masks import find_pairs
from anomedge.images.picture import Picture
from anomedge.images.tables import read_rows
from anomedge.names import storable

__all__ = [
    "list_for_inspection",
    "read_data_set",
    "read_folder",
    "read_folders",
    "read_normal",
    "select_normal",
]


def read_data_set(path: Path, normal: str | None = None) -> DataSet:
    """Read a folder of pictures or a list of them; its layout is recognised.

    Args:
        path: a folder, or a CSV or JSON file.
        normal: label of the normal pictures, as the folder or the list names them; the known ones if None.

    Raises:
        InputError: no pictures, unreadable entries, or labels that are not understood.
    """
    source = Source(path, normal)
    return _layout_of(source).read(source)


def read_folder(folder: Path, normal: str | None = None) -> list[Picture]:
    """Read the pictures of a folder or a list, with labels, masks and kinds of defects where the layout states them.

    Of a data set with splits, the pictures of the split `test` are returned. Masks are never pictures.

    Raises:
        InputError: as `read_data_set`.
    """
    return read_data_set(folder, normal).evaluated()


def read_normal(
    folder: Path, normal: str | None = None, split: Split = "train"
) -> list[Picture]:
    """Read the normal pictures of a folder or a list, as `select_normal`."""
    return select_normal(folder, normal, split).pictures


def select_normal(
    folder: Path, normal: str | None = None, split: Split = "train"
) -> Selection:
    """Read the normal pictures of a folder or a list, and count the files that are left out.

    Args:
        folder: a folder or a list.
        normal: as in `read_data_set`.
        split: the split, in a data set that has it.

    Raises:
        InputError: as `read_data_set`; no picture is normal, or normal pictures are not told from anomalous ones.
    """
    source = Source(folder, normal)
    layout = _layout_of(source)
    data = layout.read(source)
    layout.check_normal(source, data)
    return data.normal(split)


def read_folders(
    folders: Sequence[Path], normal: str | None = None
) -> list[Picture]:
    """Read the pictures of several folders; with more than one, names start with the folder's number and name."""
    if len(folders) == 1:
        return read_folder(folders[0], normal)
    pictures = []
    for number, folder in enumerate(folders, start=1):
        prefix = f"{number}-{storable(folder.name)}"
        for picture in read_folder(folder, normal):
            pictures.append(replace(picture, name=f"{prefix}/{picture.name}"))
    return pictures


def list_for_inspection(path: Path) -> Listing:
    """List the pictures to inspect: those of a folder, of a list, or a single picture. Labels are not read.

    Masks beside pictures are among the masks of the listing. Unreadable entries are listed, not refused.

    Raises:
        InputError: a list that cannot be used, or a folder that cannot be listed.
    """
    if is_list(path):
        names = ListReader(path, read_rows(path), path.parent).named_paths()
        return Listing(path.parent, list(names), names=names)
    if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a parent may not be entered
        return Listing(path.parent, [path])
    listing = scan_folder(path)
    pairs = find_pairs(listing.pictures, path)
    taken = pairs.masks | pairs.unclear.keys()
    return replace(
        listing,
        pictures=[found for found in listing.pictures if found not in taken],
        masks=[*listing.masks, *sorted(pairs.masks)],
        unreadable=[*listing.unreadable, *pairs.faults()],
    )


def _layout_of(source: Source) -> type[DataSetLayout]:
    """Return the first layout that matches a path."""
    layouts = sorted(
        DATA_SETS.members().values(), key=lambda layout: layout.order
    )
    return next(layout for layout in layouts if layout.matches(source))
