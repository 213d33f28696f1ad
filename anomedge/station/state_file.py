"""The database file of a station's state: its tables, and the checks before it is used.

======== ==========================================================================================
state    one row: identity of the state, bundle, folder, number of the newest event, and whether an
         earlier run has listed the folder
parts    each file of the folder that was decided or skipped: name, version, label and score
events   events with outputs that have not got them: number, line (JSON), name and version of the file
signals  those outputs, and whether the signal was begun
======== ==========================================================================================
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from anomedge.errors import InputError, OutputError
from anomedge.files import JsonError, parse_json
from anomedge.station.database_file import (
    DamagedFile,
    check_pages,
    connect,
    prepare,
)
from anomedge.station.sources._listing import Stamp

__all__ = ["Entry", "StateContent", "open_state_file"]

_STATE = (
    "CREATE TABLE state (token TEXT NOT NULL, bundle TEXT NOT NULL,"
    " folder BLOB NOT NULL, number INTEGER NOT NULL, listed INTEGER NOT NULL)"
)
_SCHEMA = (
    _STATE,
    "CREATE TABLE parts (name BLOB PRIMARY KEY, mtime INTEGER NOT NULL,"
    " size INTEGER NOT NULL, label TEXT NOT NULL, score REAL) WITHOUT ROWID",
    "CREATE TABLE events (number INTEGER PRIMARY KEY, line TEXT NOT NULL,"
    " name BLOB NOT NULL, mtime INTEGER NOT NULL, size INTEGER NOT NULL)",
    "CREATE TABLE signals (number INTEGER NOT NULL, output TEXT NOT NULL,"
    " begun INTEGER NOT NULL, PRIMARY KEY (number, output)) WITHOUT ROWID",
)
_WRONG = (
    "SELECT (SELECT count(*) FROM parts WHERE typeof(name) != 'blob'"
    " OR typeof(mtime) != 'integer' OR typeof(size) != 'integer')"
    " + (SELECT count(*) FROM events WHERE typeof(line) != 'text'"
    " OR typeof(name) != 'blob'"
    " OR typeof(mtime) != 'integer' OR typeof(size) != 'integer'"
    " OR number NOT BETWEEN 1 AND (SELECT number FROM state))"
    " + (SELECT count(*) FROM signals WHERE typeof(output) != 'text'"
    " OR begun NOT IN (0, 1) OR number NOT IN (SELECT number FROM events))"
)
_LABELS = ("normal", "anomalous", "undecided")


class Entry(NamedTuple):
    """An event of a frame, and the outputs that have not got it.

    Attributes:
        number: its place in the state.
        content: the event, with its "id" and the name as the system gives it.
        stamp: version of the frame's file.
        outputs: of each such output, whether an earlier run began the signal.
    """

    number: int
    content: Mapping[str, Any]
    stamp: Stamp
    outputs: Mapping[str, bool]


class StateContent(NamedTuple):
    """An open state file and its content.

    Attributes:
        database: the connection, usable from any thread under a lock.
        token: identity of the state, random.
        bundle: digest of the bundle that the last run used.
        number: number of the newest event.
        listed: an earlier run has listed the folder.
        known: version of each file that was decided or skipped.
        pending: events with outputs that have not got them, oldest first.
    """

    database: sqlite3.Connection
    token: str
    bundle: str
    number: int
    listed: bool
    known: dict[str, Stamp]
    pending: list[Entry]


def open_state_file(path: Path, bundle: str, folder: Path) -> StateContent:
    """Open or create a state file for this process alone.

    Args:
        path: the file.
        bundle: digest of the station's bundle, stored in a new file only.
        folder: absolute path of the watched folder.

    Raises:
        InputError: another process uses the file, it belongs to another folder, or its content is not a state's.
        OutputError: it cannot be opened or written.
    """
    database = None
    try:
        database = connect(path)
        return _content_of(path, database, bundle, folder)
    except BaseException as error:
        if database is not None:
            database.close()
        refusal = _refusal(path, error)
        if refusal is None:
            raise
        raise refusal from error


def _content_of(
    path: Path, database: sqlite3.Connection, bundle: str, folder: Path
) -> StateContent:
    created = prepare(database, _SCHEMA)
    if created and len(created) < len(_SCHEMA):
        raise DamagedFile("a table of it is missing")
    if created:
        database.execute(
            "INSERT INTO state VALUES (?, ?, ?, 0, 0)",
            (secrets.token_hex(8), bundle, os.fsencode(folder)),
        )
    check_pages(database)
    rows = database.execute("SELECT * FROM state").fetchall()
    if len(rows) != 1 or not _is_state(rows[0]):
        raise DamagedFile("it is not the state of one station")
    token, last_bundle, other_folder, number, listed = rows[0]
    _refuse_another_folder(path, other_folder, folder)
    if database.execute(_WRONG).fetchone()[0]:
        raise DamagedFile("rows of it are not those of a state")
    known = {
        os.fsdecode(name): Stamp(mtime, size)
        for name, mtime, size in database.execute(
            "SELECT name, mtime, size FROM parts"
        )
    }
    pending = _pending(database)
    database.execute("COMMIT")
    return StateContent(
        database, token, last_bundle, number, bool(listed), known, pending
    )


def _is_state(row: tuple[Any, ...]) -> bool:
    """Return whether the values of a row have the types of a state's; SQLite does not check them."""
    types = (str, str, bytes, int, int)
    return all(map(isinstance, row, types)) and row[3] >= 0


def _refuse_another_folder(path: Path, found: bytes, folder: Path) -> None:
    """Refuse the state of another folder: its decisions say nothing about this station's files."""
    if found != os.fsencode(folder):
        raise InputError(
            f"got --state {path} of the folder {os.fsdecode(found)}; expected that of {folder}: give each folder its own "
            "file, or delete this one to inspect the folder again"
        )


def _pending(database: sqlite3.Connection) -> list[Entry]:
    outputs: dict[int, dict[str, bool]] = {}
    for number, output, begun in database.execute("SELECT * FROM signals"):
        outputs.setdefault(number, {})[output] = bool(begun)
    rows = database.execute("SELECT * FROM events ORDER BY number").fetchall()
    return [
        Entry(
            number,
            {**_event(line), "name": os.fsdecode(name)},
            Stamp(mtime, size),
            outputs.get(number, {}),
        )
        for number, line, name, mtime, size in rows
    ]


def _event(line: str) -> dict[str, Any]:
    """Return the content of a stored line.

    Raises:
        DamagedFile: it is not an event of a frame.
    """
    try:
        content = parse_json(line)
    except JsonError as error:
        raise DamagedFile(f"an event of it is no JSON ({error})") from error
    if (
        content.get("label") not in _LABELS
        or not isinstance(content.get("id"), str)
        or not isinstance(content.get("score"), (float, int, type(None)))
        or not isinstance(content.get("message", ""), str)
    ):
        raise DamagedFile("an event of it is not a frame's")
    return content


def _is_damage(error: BaseException) -> bool:
    """Return whether an error is of a file's content; SQLite reports text that is not UTF-8 as an operational one."""
    if isinstance(error, sqlite3.OperationalError):
        return "decode to UTF-8" in str(error)
    return isinstance(error, (DamagedFile, sqlite3.DatabaseError))


def _refusal(path: Path, error: BaseException) -> Exception | None:
    """Return the error to raise for one of the system or of SQLite; None to raise the error itself."""
    if _is_damage(error):
        return InputError(
            f"got --state {path}, which cannot be used ({error}); expected the state of a station: give another file, or "
            "delete this one to inspect the folder again"
        )
    if not isinstance(error, (OSError, sqlite3.Error)):
        return None
    reason = getattr(error, "strerror", None) or str(error)
    if "locked" in reason.lower():
        return InputError(
            f"another process uses the state {path}; expected one station for each: give each its own --state"
        )
    return OutputError(
        f"cannot write the state {path}: {reason}; give --state a file that can be written, on a disk with space"
    )
