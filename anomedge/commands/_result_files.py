"""Files that `anomedge predict` and `evaluate` write: a results file, complete after every write, and one file per picture."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from PIL import Image

from anomedge.errors import OutputError
from anomedge.files import atomic_file, canonical_json, sweep_folder
from anomedge.images import Frame
from anomedge.names import storable

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "COLUMNS",
    "Format",
    "Overlays",
    "PictureFiles",
    "ResultsFile",
    "RowsFile",
    "overlay_names",
]

COLUMNS = ("picture", "label", "score", "anomalous_pixels", "milliseconds")
_COMPRESSION = 3
"""Of zlib: a tenth more bytes than the default of 6, in less than half of its time."""
_PNG = ".png"
_LONGEST_NAME = 230
"""Bytes of an overlay's name: file systems allow 255, and the name of the temporary file is 14 longer."""
_KEPT_BYTES = 160
"""Bytes of a picture's name that a shortened overlay name keeps."""

Row = Mapping[str, Any]


class Format(str, Enum):
    """Format of the results file."""

    csv = "csv"
    json = "json"


class RowsFile:
    """A file of rows, complete after every `add`: whole CSV lines, or a whole JSON array.

    Opening replaces an earlier file of that name. If a write fails, the file is truncated to its state before the write.

    Args:
        path: the file.
        form: CSV or JSON.
        columns: keys of each row.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(
        self, path: Path, form: Format, columns: Sequence[str]
    ) -> None:
        self.path = path
        self._form = form
        self._columns = columns
        if form is Format.csv:
            header = dict(zip(columns, columns, strict=True))
            self._head, self._tail = self._csv_lines([header]), b""
        else:
            self._head, self._tail = b"[", b"]\n"
        self._end = len(self._head)
        with atomic_file(self.path, force=True) as temporary:
            temporary.write_bytes(self._head + self._tail)
        self._file = self.path.open("r+b", buffering=0)

    def add(self, rows: Sequence[Row]) -> None:
        """Append results in one write.

        Raises:
            OutputError: the results cannot be written; earlier results stay.
        """
        if not rows:
            return
        entry = (
            self._csv_lines(rows)
            if self._form is Format.csv
            else self._json_entries(rows)
        )
        tail = b"" if self._form is Format.csv else b"\n]\n"
        try:
            self._write(entry + tail)
        except OSError as error:
            self._cut_back()
            raise _refused(
                self.path, error, "earlier results are kept"
            ) from error
        self._end += len(entry)
        self._tail = tail

    def close(self) -> None:
        """Flush the file to the disk and close it.

        Raises:
            OutputError: flushing fails.
        """
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _refused(
                self.path, error, "its last results may be lost"
            ) from error
        finally:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _csv_lines(self, rows: Sequence[Row]) -> bytes:
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, lineterminator="\n")
        writer.writerows(rows)
        return text.getvalue().encode()

    def _json_entries(self, rows: Sequence[Row]) -> bytes:
        """Format rows as `canonical_json` formats array elements, with a leading comma after earlier rows."""
        entries = (
            canonical_json(list(rows)).removeprefix(b"[").removesuffix(b"\n]\n")
        )
        return (b"" if self._end == len(self._head) else b",") + entries

    def _write(self, data: bytes) -> None:
        """Overwrite the tail; repeat after short writes, which occur on a nearly full disk."""
        self._file.seek(self._end)
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]

    def _cut_back(self) -> None:
        try:
            self._file.truncate(self._end)
            self._write(self._tail)
        except OSError as error:
            raise _refused(
                self.path, error, "its last line may be incomplete"
            ) from error


class ResultsFile(RowsFile):
    """`results.csv` or `results.json` of `anomedge predict`, in a folder; without a map, without its column."""

    def __init__(
        self, folder: Path, form: Format, has_map: bool = True
    ) -> None:
        columns = [
            name for name in COLUMNS if has_map or name != "anomalous_pixels"
        ]
        super().__init__(folder / f"results.{form.value}", form, columns)


class PictureFiles:
    """Writes one file per picture into a folder, each under a unique name.

    Args:
        folder: output folder; created when the first file is written.
        names: names of all pictures of the run: relative paths with forward slashes.
        suffix: suffix of the files.
        kind: noun for messages, such as "overlay".
    """

    def __init__(
        self, folder: Path, names: Iterable[str], suffix: str, kind: str
    ) -> None:
        self.folder = folder
        self._suffix = suffix
        self._kind = kind
        self._names = _unique_names(list(names), suffix)
        self._ready: set[Path] = set()

    def save(self, name: str, write: Callable[[Path], None]) -> None:
        """Write a picture's file atomically.

        Args:
            name: the picture.
            write: writes the content to a path.

        Raises:
            OutputError: the file cannot be written.
        """
        target = self.folder / self._names[name]
        try:
            self._prepare(target.parent)
            with atomic_file(target, force=True, sweep=False) as temporary:
                write(temporary)
        except OSError as error:
            raise _refused(
                target, error, f"no {self._kind} of this picture"
            ) from error

    def _prepare(self, folder: Path) -> None:
        """Create a folder and remove abandoned temporary files from it, once."""
        if folder not in self._ready:
            folder.mkdir(parents=True, exist_ok=True)
            sweep_folder(folder, self._suffix)
            self._ready.add(folder)


class Overlays(PictureFiles):
    """Writes overlays as PNG; arguments as of `PictureFiles`."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        super().__init__(folder, names, _PNG, "overlay")

    def write(self, name: str, pixels: Frame) -> None:
        """Write a picture's overlay as PNG.

        Raises:
            OutputError: the overlay cannot be written.
        """
        image = Image.fromarray(pixels)
        self.save(
            name,
            lambda path: image.save(
                path, format="PNG", compress_level=_COMPRESSION
            ),
        )


def overlay_names(names: Sequence[str]) -> dict[str, str]:
    """Map each picture's path to its overlay's path: the same path ending in `.png`.

    If that path belongs to another picture or a folder, is too long, or is not UTF-8, the file name is shortened and a
    digest of the whole path is appended.

    >>> overlay_names(["good/a.bmp", "good/b.png"])
    {'good/a.bmp': 'good/a.bmp.png', 'good/b.png': 'good/b.png'}
    >>> overlay_names(["a.bmp", "a.bmp.png"])["a.bmp"]
    'a.bmp-21673cc95948a173.png'
    """
    return _unique_names(names, _PNG)


def _unique_names(names: Sequence[str], suffix: str) -> dict[str, str]:
    """Map each picture's path to the same path with a suffix; see `overlay_names`."""
    taken = {name for name in names if name.endswith(suffix)}
    for name in names:
        taken.update(map(str, PurePosixPath(name).parents))
    return {name: _unique_name(name, suffix, taken) for name in names}


def _unique_name(name: str, suffix: str, taken: set[str]) -> str:
    plain = name if name.endswith(suffix) else name + suffix
    free = plain == name or plain not in taken
    file = PurePosixPath(plain).name
    if (
        free
        and file == storable(file)
        and len(os.fsencode(file)) <= _LONGEST_NAME
    ):
        return plain
    path = PurePosixPath(name)
    start = storable(path.name).encode()[:_KEPT_BYTES].decode(errors="ignore")
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    return str(path.with_name(f"{start}-{digest}{suffix}"))


def _refused(path: Path, error: OSError, left: str) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(
        f"cannot write {path}: {reason}; {left}: make space, or give another folder"
    )
