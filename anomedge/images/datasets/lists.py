"""Lists of pictures: a CSV or JSON file with a path in each row, and a label, a mask and a split where known."""

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
from anomedge.images.tables import LIST_SUFFIXES, read_rows

__all__ = ["PictureList"]


class PictureList(DataSetLayout):
    """A file with the columns `path`, `label`, `mask` and `split`, of which only `path` is required."""

    name = "list"
    summary = "a CSV or JSON file with the columns `path`, `label`, `mask` and `split`; paths are relative to its folder"
    order = 0

    @classmethod
    def matches(cls, source: Source) -> bool:
        """Return whether the path is a file with a list's suffix."""
        return is_list(source.path)

    @classmethod
    def read(cls, source: Source) -> DataSet:
        """Return the pictures of the list."""
        path = source.path
        rows = read_rows(path)
        if {"object", "split"} <= rows[0].cells.keys():
            raise InputError(
                f"{path} is a list of VisA; expected the folder of one of its objects, such as {path.parent.parent / rows[0].cells['object']}"
            )
        samples = ListReader(path, rows, path.parent, source.normal).samples()
        return DataSet(path, cls.name, samples)


def is_list(path: Path) -> bool:
    """Whether a path is a file that may be a list of pictures."""
    return path.suffix.lower() in LIST_SUFFIXES and os.path.isfile(path)  # noqa: PTH113 - Path.is_file may raise
