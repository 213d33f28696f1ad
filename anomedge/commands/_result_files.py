"""Files that `anomedge predict` writes: a results file, complete after every write, and one overlay per picture."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from anomedge.errors import OutputError
from anomedge.files import atomic_file, canonical_json, sweep_folder
from anomedge.images import Frame
from anomedge.names import storable

__all__ = ["COLUMNS", "Format", "Overlays", "ResultsFile", "overlay_names"]

COLUMNS = ("picture", "label", "score", "anomalous_pixels", "milliseconds")
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


class ResultsFile:
    """`results.csv` or `results.json`, complete after every `add`: whole lines, or a whole JSON array.

    Opening replaces an earlier file of that name. If a write fails, the file is truncated to its state before the write.

    Args:
        folder: output folder.
        form: CSV or JSON.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(self, folder: Path, form: Format) -> None:
        self.path = folder / f"results.{form.value}"
        self._form = form
        if form is Format.csv:
            header = dict(zip(COLUMNS, COLUMNS, strict=True))
            self._head, self._tail = _csv_lines([header]), b""
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
            _csv_lines(rows)
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

    def __enter__(self) -> ResultsFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

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


class Overlays:
    """Writes overlays into a folder, each under a unique name.

    Args:
        folder: output folder; created when the first overlay is written.
        names: names of all pictures of the run: relative paths with forward slashes.
    """

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self.folder = folder
        self._names = overlay_names(list(names))
        self._ready: set[Path] = set()

    def write(self, name: str, pixels: Frame) -> None:
        """Write a picture's overlay as PNG.

        Raises:
            OutputError: the overlay cannot be written.
        """
        target = self.folder / self._names[name]
        try:
            self._prepare(target.parent)
            with atomic_file(target, force=True, sweep=False) as temporary:
                Image.fromarray(pixels).save(temporary, format="PNG")
        except OSError as error:
            raise _refused(
                target, error, "no overlay of this picture"
            ) from error

    def _prepare(self, folder: Path) -> None:
        """Create a folder and remove abandoned temporary files from it, once."""
        if folder not in self._ready:
            folder.mkdir(parents=True, exist_ok=True)
            sweep_folder(folder, _PNG)
            self._ready.add(folder)


def overlay_names(names: Sequence[str]) -> dict[str, str]:
    """Map each picture's path to its overlay's path: the same path ending in `.png`.

    If that path belongs to another picture or a folder, is too long, or is not UTF-8, the file name is shortened and a
    digest of the whole path is appended.

    >>> overlay_names(["good/a.bmp", "good/b.png"])
    {'good/a.bmp': 'good/a.bmp.png', 'good/b.png': 'good/b.png'}
    >>> overlay_names(["a.bmp", "a.bmp.png"])["a.bmp"]
    'a.bmp-21673cc95948a173.png'
    """
    taken = {name for name in names if name.endswith(_PNG)}
    for name in names:
        taken.update(map(str, PurePosixPath(name).parents))
    return {name: _overlay_name(name, taken) for name in names}


def _overlay_name(name: str, taken: set[str]) -> str:
    plain = name if name.endswith(_PNG) else name + _PNG
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
    return str(path.with_name(f"{start}-{digest}{_PNG}"))


def _csv_lines(rows: Sequence[Row]) -> bytes:
    text = io.StringIO()
    csv.DictWriter(text, COLUMNS, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _refused(path: Path, error: OSError, left: str) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(
        f"cannot write {path}: {reason}; {left}: make space, or give another folder"
    )
