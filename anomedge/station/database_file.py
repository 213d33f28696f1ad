"""SQLite files of a station: one process at a time, a write-ahead log, a fixed schema."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = [
    "DamagedFile",
    "Statement",
    "check_pages",
    "connect",
    "prepare",
    "run",
]

Statement = tuple[str, Iterable[tuple[Any, ...]]]
"""Text of a statement, and its rows of values: it runs once for each."""

_LOCKING = "locking_mode = EXCLUSIVE"
"""One process at a time; also needs no shared memory."""
_SETTINGS = (
    "journal_mode = WAL",
    # A kill loses nothing; a power cut may, unless the owner syncs.
    "synchronous = NORMAL",
    "trusted_schema = OFF",
    "cell_size_check = ON",
    "journal_size_limit = 1048576",
)
_LOCK_TIMEOUT = 1.0
"""Time for a previous process to let go of the file, in seconds."""


class DamagedFile(Exception):
    """The file does not have the expected content; the message says why."""


def connect(path: Path) -> sqlite3.Connection:
    """Open or create a file; usable from any thread under a lock.

    If its folder does not exist, it is created so that only this user may enter it.

    Raises:
        OSError: its folder cannot be created.
        sqlite3.Error: it cannot be opened.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return sqlite3.connect(
        path,
        timeout=_LOCK_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
    )


def prepare(database: sqlite3.Connection, schema: Sequence[str]) -> list[str]:
    """Lock a file for this process, begin a transaction, and create the tables of the schema that are missing.

    Args:
        database: the connection.
        schema: statements that create the tables.

    Returns:
        The statements that were run.

    Raises:
        DamagedFile: the file has another schema; it was not changed.
        sqlite3.Error: the file is no database, another process uses it, or it cannot be written.
    """
    database.execute(f"PRAGMA {_LOCKING}").fetchall()
    rows = database.execute("SELECT sql FROM sqlite_master").fetchall()
    found = {row[0] for row in rows}
    if not found <= set(schema):
        raise DamagedFile("it has another schema")
    for setting in _SETTINGS:
        database.execute(f"PRAGMA {setting}").fetchall()
    database.execute("BEGIN IMMEDIATE")
    missing = [statement for statement in schema if statement not in found]
    for statement in missing:
        database.execute(statement)
    return missing


def run(database: sqlite3.Connection, statements: Iterable[Statement]) -> None:
    """Run statements in one transaction.

    Raises:
        sqlite3.Error: they cannot be run or stored; nothing is changed.
    """
    try:
        database.execute("BEGIN IMMEDIATE")
        for text, rows in statements:
            database.executemany(text, rows)
        database.execute("COMMIT")
    except sqlite3.Error:
        with suppress(sqlite3.Error):
            database.execute("ROLLBACK")
        raise


def check_pages(database: sqlite3.Connection) -> None:
    """Check the structure of a file.

    Raises:
        DamagedFile: it is damaged.
    """
    (report,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if report != "ok":
        raise DamagedFile(report)
