"""Sink that appends each event to a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from anomedge.names import printable
from anomedge.station.sinks._files import LineFile, checked_path
from anomedge.station.sinks.base import Event, Sink

__all__ = ["COLUMNS", "CsvSink"]

COLUMNS = (
    "id", "time", "event", "repeated", "number", "name", "label", "score", "threshold", "anomalous_pixels", "milliseconds", "dropped", "message",
)  # fmt: skip
"""Keys of events that have a column; the others are left out."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class CsvSink(Sink):
    """A CSV file (UTF-8, RFC 4180 without carriage returns) with a header.

    An event of one line stays on one line: line feeds in names are escaped. A text that a spreadsheet would execute as a
    formula begins with an apostrophe.

    Raises:
        InputError: the path is a folder or in a missing one.
    """

    name = "csv"
    address_help = "a file NAME.csv"

    def __init__(self, path: str) -> None:
        self._file = LineFile(checked_path(path), _row(COLUMNS))
        self.title = str(self._file.path)

    @classmethod
    def accepts(cls, address: str) -> bool:
        """Return whether the address is a path that ends with .csv."""
        return "://" not in address and address.endswith(".csv")

    @classmethod
    def open(cls, address: str) -> CsvSink:
        """Return the sink of a file."""
        return cls(address)

    def send(self, event: Event) -> None:
        """Append a row.

        Raises:
            SinkDown: the file cannot be written.
        """
        self._file.append(_row(_cell(event.get(key)) for key in COLUMNS))

    def idle(self) -> None:
        """Write the last rows to the disk.

        Raises:
            SinkDown: they cannot be written.
        """
        self._file.sync()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return str(value)
    text = printable(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _row(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()
