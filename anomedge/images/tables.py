"""Read a list of pictures from a CSV or JSON file, without trusting its rows."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from anomedge.errors import InputError
from anomedge.files import JsonError, parse_json_array, read_limited
from anomedge.names import indented, printable

__all__ = ["LIST_SUFFIXES", "Row", "column_of", "faulty_rows", "read_rows"]

LIST_SUFFIXES = frozenset({".csv", ".json", ".tsv"})
_LARGEST = 64 << 20
_MOST_ROWS = 200_000
"""As many pictures as a model file names."""
_DELIMITERS = ",;\t"
_JSON_KEY = "pictures"


class Row(NamedTuple):
    """One row: its place in the file, for messages, and its cells by column in lower case."""

    place: str
    cells: dict[str, str]


def read_rows(path: Path) -> list[Row]:
    """Read a table with named columns.

    A CSV file is UTF-8, with a header line, separated by commas, semicolons or tabs. A JSON file is an array of objects,
    or an object with such an array as `pictures`. Values are text, whole numbers or null.

    Raises:
        InputError: the file cannot be read, is larger than 64 MiB, has more than 200,000 rows, none, a repeated column or
            key, or a row that does not fit the header.
    """
    try:
        data = read_limited(path, _LARGEST, links=True)
        if path.suffix.lower() == ".json":
            rows = _json_rows(path, data)
        else:
            rows = _csv_rows(path, data)
    except JsonError as error:
        raise InputError(f"{path}: {error}; give a list of pictures") from error
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror or error}); expected a list of pictures, CSV or JSON"
        ) from error
    if not 0 < len(rows) <= _MOST_ROWS:
        raise InputError(
            f"{path}: got {len(rows)} rows; expected 1 to {_MOST_ROWS:,}"
        )
    return rows


def column_of(
    path: Path, rows: Iterable[Row], names: Iterable[str]
) -> str | None:
    """Return the column that a table has among several names; None without one.

    Raises:
        InputError: it has several of them.
    """
    columns = {column for row in rows for column in row.cells}
    found = [name for name in names if name in columns]
    if len(found) > 1:
        raise InputError(
            f"{path}: got the columns {', '.join(found)}; expected one of them: rename or remove the others"
        )
    return found[0] if found else None


def faulty_rows(path: Path, faults: list[str]) -> InputError:
    """Return the error that lists the faults of a table's rows."""
    return InputError(
        f"{path}: {len(faults)} of its rows cannot be used; expected all of them: correct or remove these:{indented(faults)}"
    )


def _csv_rows(path: Path, data: bytes) -> list[Row]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: got bytes that are not UTF-8 at {error.start}; expected UTF-8: save it again"
        ) from error
    head = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=head.count)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, strict=True
    )
    try:
        return list(_checked_rows(path, reader))
    except csv.Error as error:
        raise InputError(
            f"{path}: line {reader.line_num} is not CSV ({error}); correct it"
        ) from error


def _checked_rows(path: Path, reader: Any) -> Iterator[Row]:
    """Yield the rows below the header; skip empty lines."""
    header = [cell.strip().lower() for cell in next(reader, [])]
    _refuse_repeated(path, header)
    for number, cells in enumerate(reader):
        if number > _MOST_ROWS:
            raise InputError(
                f"{path}: got more than {_MOST_ROWS:,} rows; expected fewer: split it"
            )
        if not any(cell.strip() for cell in cells):
            continue
        place = f"line {reader.line_num}"
        if len(cells) != len(header):
            raise InputError(
                f"{path}: {place}: got {len(cells)} cells; expected {len(header)}, as in the header"
            )
        stripped = [cell.strip() for cell in cells]
        yield Row(place, dict(zip(header, stripped, strict=True)))


def _json_rows(path: Path, data: bytes) -> list[Row]:
    rows = []
    for number, item in enumerate(parse_json_array(data, _JSON_KEY), start=1):
        place = f"picture {number}"
        if not isinstance(item, dict):
            raise InputError(
                f"{path}: {place}: got a {type(item).__name__}; expected an object with a path"
            )
        _refuse_repeated(path, [key.strip().lower() for key in item])
        rows.append(Row(place, _cells(path, place, item)))
    return rows


def _cells(path: Path, place: str, item: Mapping[str, Any]) -> dict[str, str]:
    cells = {}
    for key, value in item.items():
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise InputError(
                f"{path}: {place}: got {key[:80]} as a {type(value).__name__}; expected text, such as good"
            )
        cells[key.strip().lower()] = str(value).strip()
    return cells


def _refuse_repeated(path: Path, columns: list[str]) -> None:
    """Refuse a repeated name; columns without a name may be several."""
    named = [name for name in columns if name]
    if len(set(named)) < len(named):
        repeated = Counter(named).most_common(1)[0][0]
        raise InputError(
            f"{path}: got the column {printable(repeated[:80])!r} twice; expected each column once"
        )
