"""VisA: the folder of one object, listed in `../split_csv/1cls.csv` or in its own `image_anno.csv`."""

from __future__ import annotations

import os
from pathlib import Path

from anomedge.errors import InputError
from anomedge.images.datasets.base import (
    DataSet,
    DataSetLayout,
    Source,
)
from anomedge.images.datasets.listed import ListReader
from anomedge.images.tables import Row, read_rows

__all__ = ["Visa"]

_SPLIT_FOLDER, _ONE_CLASS = "split_csv", "1cls.csv"
_OWN_LIST = "image_anno.csv"


class Visa(DataSetLayout):
    """The folder of one object; paths in the lists are relative to the folder that holds all objects.

    `split_csv/1cls.csv` (columns object, split, label, image, mask) states the splits; `image_anno.csv` (image, label,
    mask) has none.
    """

    name = "visa"
    summary = "VisA: the folder of one object; labels, masks and splits of `split_csv/1cls.csv` or `image_anno.csv`"
    order = 0

    @classmethod
    def matches(cls, source: Source) -> bool:
        """Return whether the folder is that of an object, or holds the folders of all objects."""
        folder = source.path
        if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir raises where a parent may not be entered
            return False
        if (folder / _SPLIT_FOLDER).is_dir() or (folder / _OWN_LIST).is_file():
            return True
        table = _table_of(folder.absolute())
        return table.is_file() and bool(_rows_of(folder.absolute(), table))

    @classmethod
    def read(cls, source: Source) -> DataSet:
        """Return the pictures of the object; all of them are listed, so other files are ignored.

        Raises:
            InputError: the folder holds several objects, or as a list.
        """
        folder = source.path.absolute()
        if (folder / _SPLIT_FOLDER).is_dir():
            folder = _only_object(folder)
        table = _table_of(folder)
        rows = _rows_of(folder, table) if table.is_file() else []
        if not rows:
            table = folder / _OWN_LIST
            rows = read_rows(table)
        samples = ListReader(
            table, rows, folder.parent, source.normal
        ).samples()
        return DataSet(source.path, cls.name, samples)


def _table_of(folder: Path) -> Path:
    """Return the list of splits beside the folder of an object; it may not exist."""
    return folder.parent / _SPLIT_FOLDER / _ONE_CLASS


def _rows_of(folder: Path, table: Path) -> list[Row]:
    """Return the rows of an object; none if the table does not list it."""
    rows = read_rows(table)
    return [row for row in rows if row.cells.get("object") == folder.name]


def _only_object(folder: Path) -> Path:
    """Return the folder of the only object that is listed.

    Raises:
        InputError: no list, or several objects.
    """
    rows = read_rows(folder / _SPLIT_FOLDER / _ONE_CLASS)
    objects = sorted({row.cells.get("object", "") for row in rows})
    if len(objects) != 1:
        raise InputError(
            f"{folder}: got the objects {', '.join(objects)}; expected one of them: give {folder / objects[0]}"
        )
    return folder / objects[0]
