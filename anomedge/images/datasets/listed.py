"""Build samples from the rows of a list: check paths, labels and splits."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from anomedge.errors import InputError
from anomedge.images.datasets.base import Sample, Split
from anomedge.images.datasets.labels import (
    ANOMALOUS,
    NORMAL,
    SPLITS,
    canonical,
    kind_of_label,
    normal_label_among,
    similar_label,
)
from anomedge.images.picture import Picture
from anomedge.images.reading import SUFFIXES
from anomedge.images.tables import Row, column_of, faulty_rows
from anomedge.names import printable, storable

__all__ = ["ListReader"]

_PATHS = ("path", "image", "image_path", "picture", "file", "filename")
_LABELS = ("label",)
_OTHER_LABELS = frozenset(
    {"anomaly", "category", "class", "is_anomaly", "target"}
)
"""Columns of labels under other names."""
_MASKS = ("mask", "mask_path")
_SPLITS = ("split",)


@dataclass
class ListReader:
    """Reader of the rows of one list.

    A relative path must stay in the folder `root`, also after links to folders are resolved. An absolute path may lead
    anywhere: whoever gives a list with such paths means those files.

    Args:
        path: the list, for messages.
        rows: its rows.
        root: the folder that relative paths start from.
        normal: the label of normal pictures, or None.
    """

    path: Path
    rows: Sequence[Row]
    root: Path
    normal: str | None = None
    _faults: list[str] = field(default_factory=list)
    _resolved: dict[Path, Path] = field(default_factory=dict)

    def named_paths(self) -> dict[Path, str]:
        """Return the names of the pictures by path, in the order of the rows; labels, masks and splits are not read.

        Raises:
            InputError: no column of paths; or rows with a missing, repeated or refused path.
        """
        found = self._pictures()
        self._refuse_faults()
        names = _names(found, self.root)
        return dict(zip(found, names, strict=True))

    def samples(self) -> list[Sample]:
        """Return the pictures in the order of the rows.

        Raises:
            InputError: as `named_paths`, or an unknown label or split, or a mask that does not exist.
        """
        found = self._pictures()
        masks = self._paths(_MASKS) or [None] * len(self.rows)
        labels = self._labels()
        splits = self._splits()
        self._refuse_faults()
        names = _names(found, self.root)
        rows = zip(names, found, masks, labels, splits, strict=True)
        return [
            Sample(_picture(name, path, mask, label), split)
            for name, path, mask, label, split in rows
        ]

    def _pictures(self) -> list[Path]:
        """Return the pictures of the rows; note the faults of rows."""
        paths = self._paths(_PATHS)
        if paths is None:
            raise InputError(
                f"{self.path}: got no column of paths; expected one of the columns {', '.join(_PATHS)}"
            )
        self._note_missing(paths)
        self._note_masks(paths)
        return [path for path in paths if path is not None]

    def _refuse_faults(self) -> None:
        if self._faults:
            raise faulty_rows(self.path, self._faults)

    def _paths(self, names: Sequence[str]) -> list[Path | None] | None:
        """Return the files that a column names; None without the column."""
        if column_of(self.path, self.rows, names) is None:
            return None
        return self._column(names, self._file)

    def _column(
        self, names: Sequence[str], convert: Callable[[str], object]
    ) -> list:  # type: ignore[type-arg]
        """Convert the cells of a column; note the faults of cells, and return None for empty ones."""
        column = column_of(self.path, self.rows, names)
        values = []
        for row in self.rows:
            text = row.cells.get(column or "", "")
            try:
                values.append(convert(text) if text else None)
            except ValueError as error:
                self._faults.append(f"{row.place}: {error}")
                values.append(None)
        return values

    def _file(self, text: str) -> Path:
        """Return the file that a cell names.

        Raises:
            ValueError: it is outside of the folder, missing, no plain file or no picture.
        """
        if "\0" in text:
            raise ValueError("got a path with a zero byte")
        path = Path(os.path.normpath(self.root / text.replace("\\", "/")))
        shown = printable(text[:200])
        if not Path(text).is_absolute() and not self._is_within(path):
            raise ValueError(
                f"got {shown}, outside of {self.root}; expected a path within it, or an absolute one"
            )
        if path.suffix.lower() not in SUFFIXES:
            raise ValueError(
                f"got {shown}; expected a file ending in {', '.join(sorted(SUFFIXES))}"
            )
        if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises where a parent may not be entered
            raise ValueError(f"{shown} does not exist, or is no plain file")
        return path

    def _is_within(self, path: Path) -> bool:
        """Whether the folder of a path is the root or lies below it, with links to folders resolved."""
        for folder in (path.parent, self.root):
            if folder not in self._resolved:
                # Path.resolve raises at a loop of links.
                self._resolved[folder] = Path(os.path.realpath(folder))
        root = self._resolved[self.root]
        return self._resolved[path.parent].is_relative_to(root)

    def _note_missing(self, paths: Sequence[Path | None]) -> None:
        """Note rows without a path, and paths that are repeated."""
        column = column_of(self.path, self.rows, _PATHS)
        first: dict[str, str] = {}
        for row, path in zip(self.rows, paths, strict=True):
            if not row.cells.get(column or ""):
                self._faults.append(f"{row.place}: got no path")
            if path is None:
                continue
            earlier = first.setdefault(os.path.realpath(path), row.place)
            if earlier != row.place:
                self._faults.append(
                    f"{row.place}: {path} is listed in {earlier} as well"
                )

    def _note_masks(self, paths: Sequence[Path | None]) -> None:
        """Note rows whose picture is the mask of another row; masks need not exist here."""
        column = column_of(self.path, self.rows, _MASKS)
        owners: dict[str, str] = {}
        for row in self.rows:
            text = row.cells.get(column or "", "")
            if text and "\0" not in text:
                mask = self.root / text.replace("\\", "/")
                owners[os.path.realpath(mask)] = row.place
        if not owners:
            return
        for row, path in zip(self.rows, paths, strict=True):
            owner = owners.get(os.path.realpath(path)) if path else None
            if owner is not None:
                self._faults.append(
                    f"{row.place}: {path} is the mask of {owner}; expected pictures only"
                )

    def _refuse_other_labels(self) -> None:
        """Refuse a list without a column `label` of which another column seems to hold the labels.

        Raises:
            InputError: a column has the name of one of labels, or known labels only.
        """
        known = NORMAL | ANOMALOUS
        for column in self.rows[0].cells:
            found = {canonical(row.cells.get(column, "")) for row in self.rows}
            named = canonical(column) in _OTHER_LABELS
            if found - {""} and (named or found - {""} <= known):
                raise InputError(
                    f"{self.path}: got a column {printable(column[:80])!r} and no column `label`; expected the labels in it: "
                    f"rename it to label, or remove it if it holds no labels"
                )

    def _labels(self) -> list[tuple[bool, str] | None]:
        """Return whether each picture is anomalous, with its kind of defect; None without a column of labels."""
        column = column_of(self.path, self.rows, _LABELS)
        if column is None:
            self._refuse_other_labels()
        if column is None and self.normal is not None:
            raise InputError(
                f"{self.path}: got the normal label {self.normal!r}, but no column `label`; expected one"
            )
        if column is None:
            return [None] * len(self.rows)
        written = [row.cells.get(column, "") for row in self.rows]
        forms = {canonical(label) for label in written if label}
        if self.normal is None and forms <= {"0", "1"}:
            normal: str | None = "0"
        else:
            normal = normal_label_among(forms, self.normal, str(self.path))
        found = []
        for row, label in zip(self.rows, written, strict=True):
            fault = self._fault_of_label(label, normal)
            if fault:
                self._faults.append(f"{row.place}: {fault}")
            anomalous = canonical(label) != normal
            found.append((anomalous, kind_of_label(label) if anomalous else ""))
        return list(found)

    def _fault_of_label(self, label: str, normal: str | None) -> str:
        """Describe the reason why a label is not understood; empty if it is."""
        form = canonical(label)
        if not form:
            return "got no label; expected one in every row"
        if form == normal or form in ANOMALOUS:
            return ""
        shown = printable(label[:80])
        if normal is None:
            return f"got the label {shown!r}; expected a known one, such as good and bad: name that of normal pictures with --normal-label"
        similar = None if self.normal is not None else similar_label(label)
        if similar is not None:
            return f"got the label {shown!r}; expected {similar}, which it resembles, or another name"
        return ""

    def _splits(self) -> list[Split | None]:
        """Return the split of each row; note rows without one beside others."""
        splits: list[Split | None] = self._column(_SPLITS, self._split)
        column = column_of(self.path, self.rows, _SPLITS) or ""
        empty = [row.place for row in self.rows if not row.cells.get(column)]
        if len(empty) < len(self.rows):
            self._faults += [
                f"{place}: got no split; expected one in every row, or none"
                for place in empty
            ]
        return splits

    def _split(self, text: str) -> Split:
        """Return the split of a cell.

        Raises:
            ValueError: an unknown split.
        """
        split = SPLITS.get(canonical(text))
        if split is None:
            raise ValueError(
                f"got the split {printable(text[:80])!r}; expected train, test or validation"
            )
        return split


def _names(paths: Sequence[Path], root: Path) -> list[str]:
    """Return names of pictures: relative to the root, or to the common folder of the pictures outside of it."""
    base = Path(os.path.normpath(root))
    outside = [p.parent for p in paths if not p.is_relative_to(base)]
    common = Path(os.path.commonpath(outside)) if outside else base
    return [
        path.relative_to(base).as_posix()
        if path.is_relative_to(base)
        else f"elsewhere/{path.relative_to(common).as_posix()}"
        for path in paths
    ]


def _picture(
    name: str, path: Path, mask: Path | None, label: tuple[bool, str] | None
) -> Picture:
    anomalous, kind = label if label is not None else (None, "")
    return Picture(
        storable(name), path, anomalous=anomalous, mask_path=mask, kind=kind
    )
