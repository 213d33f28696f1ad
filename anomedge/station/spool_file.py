"""The database file of a spool: open it exclusively, check its schema and content, move a damaged one aside."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from anomedge.errors import InputError, OutputError
from anomedge.station.database_file import (
    DamagedFile,
    check_pages,
    connect,
    prepare,
)

__all__ = [
    "DamagedSpool",
    "NoSpace",
    "SpoolContent",
    "move_aside",
    "open_spool_file",
]

_PROGRESS = "CREATE TABLE progress (sent INTEGER NOT NULL)"
_SCHEMA = (
    "CREATE TABLE events (number INTEGER PRIMARY KEY, text TEXT NOT NULL)",
    _PROGRESS,
    "CREATE TABLE handed (state TEXT PRIMARY KEY, number INTEGER NOT NULL)"
    " WITHOUT ROWID",
)
_LARGEST = 2**62
"""Largest number of an event that is accepted from a file."""


class DamagedSpool(DamagedFile):
    """The file is no spool of this version; the message says why."""


class NoSpace(Exception):
    """The disk takes no file now."""


class SpoolContent(NamedTuple):
    """An open spool file and its content.

    Attributes:
        database: the connection, usable from any thread under a lock.
        events: number of events.
        size: size of their texts, in bytes.
        newest: number of the newest event; 0 if there is none.
        sent: number of the newest event whose delivery began.
    """

    database: sqlite3.Connection
    events: int
    size: int
    newest: int
    sent: int


def open_spool_file(path: Path) -> SpoolContent:
    """Open or create a spool file for this process alone.

    Raises:
        DamagedSpool: the content is not a spool's.
        NoSpace: the disk is full or broken.
        InputError: another process uses the file.
        OutputError: the file cannot be opened or written.
    """
    try:
        database = connect(path)
    except (OSError, sqlite3.Error) as error:
        raise _refusal(path, error) from error
    try:
        return _content_of(database)
    except sqlite3.OperationalError as error:
        database.close()
        raise _refusal(path, error) from error
    except (sqlite3.DatabaseError, DamagedFile) as error:
        database.close()
        raise DamagedSpool(str(error)) from error
    except BaseException:
        database.close()
        raise


def move_aside(path: Path) -> Path:
    """Rename a damaged spool file and its log, and return the new path.

    Raises:
        OutputError: it cannot be renamed.
    """
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    kept = path.with_name(f"{path.name}.damaged-{moment}")
    try:
        os.replace(path, kept)
        for suffix in ("-wal", "-shm", "-journal"):
            with suppress(FileNotFoundError):
                os.replace(f"{path}{suffix}", f"{kept}{suffix}")
    except OSError as error:
        raise _refusal(path, error) from error
    return kept


def _content_of(database: sqlite3.Connection) -> SpoolContent:
    if _PROGRESS in prepare(database, _SCHEMA):
        database.execute("INSERT INTO progress VALUES (0)")
    _check(database)
    content = _counts(database)
    database.execute("COMMIT")
    return content


def _check(database: sqlite3.Connection) -> None:
    check_pages(database)
    (wrong,) = database.execute(
        "SELECT count(*) FROM events"
        " WHERE typeof(text) != 'text' OR number < 1 OR number > ?",
        (_LARGEST,),
    ).fetchone()
    if wrong:
        raise DamagedSpool(f"{wrong} rows of it are no events")


def _counts(database: sqlite3.Connection) -> SpoolContent:
    events, size, newest = database.execute(
        "SELECT count(*), coalesce(sum(length(text)), 0),"
        " coalesce(max(number), 0) FROM events"
    ).fetchone()
    progress = database.execute("SELECT sent FROM progress").fetchall()
    sent = progress[0][0] if len(progress) == 1 else None
    if not isinstance(sent, int) or not 0 <= sent <= _LARGEST:
        raise DamagedSpool("its progress is no number")
    return SpoolContent(database, events, size, newest, sent)


def _refusal(path: Path, error: Exception) -> Exception:
    """Return the error to raise for one of the system or of SQLite."""
    reason = getattr(error, "strerror", None) or str(error)
    lowered = reason.lower()
    if "locked" in lowered:
        return InputError(
            f"another process uses the spool {path}; expected one process for each sink: give each its own --spool"
        )
    if any(w in lowered for w in ("full", "no space", "quota", "disk i/o")):
        return NoSpace(reason)
    return OutputError(
        f"cannot write the spool {path}: {reason}; give --spool a folder that can be written"
    )
