"""Sink that inserts each event into a table of an SQLite database."""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress

from anomedge.station.sinks._files import checked_path
from anomedge.station.sinks.base import Event, Sink, SinkDown

__all__ = ["SqliteSink"]

_COLUMNS = ("id", "time", "event", "number", "name", "label", "score")
_CREATE = """CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY, time TEXT, event TEXT, number INTEGER, name TEXT,
    label TEXT, score REAL, content TEXT) WITHOUT ROWID"""
_INSERT = "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_BUSY_TIMEOUT = 5.0
"""Time to wait for another program that writes, in seconds."""


class SqliteSink(Sink):
    """A table `events` with the columns id, time, event, number, name, label, score and content (the JSON object).

    The identifier is the primary key: a repeated event is stored once. The database has a write-ahead log, which
    reaches the disk about once a second. The connection stays open; it is opened anew after a failure.

    Raises:
        InputError: the path is a folder or in a missing one.
    """

    name = "sqlite"
    address_help = "a file NAME.sqlite or NAME.db"

    def __init__(self, path: str) -> None:
        self.path = checked_path(path)
        self.title = str(self.path)
        self._database: sqlite3.Connection | None = None

    @classmethod
    def accepts(cls, address: str) -> bool:
        """Return whether the address is a path that ends with .sqlite or .db."""
        return "://" not in address and address.endswith((".sqlite", ".db"))

    @classmethod
    def open(cls, address: str) -> SqliteSink:
        """Return the sink of a database."""
        return cls(address)

    def send(self, event: Event) -> None:
        """Insert a row and commit it.

        Raises:
            SinkDown: the database cannot be written.
        """
        row = [event.get(column) for column in _COLUMNS]
        try:
            if self._database is None:
                self._database = self._connected()
            self._database.execute(_INSERT, (*row, json.dumps(dict(event))))
        except sqlite3.Error as error:
            self.close()
            raise SinkDown(str(error), sent=False) from error

    def idle(self) -> None:
        """Write the log to the disk.

        Raises:
            SinkDown: it cannot be written.
        """
        if self._database is None:
            return
        try:
            self._database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:
            self.close()
            raise SinkDown(str(error)) from error

    def close(self) -> None:
        """Close the database."""
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    def _connected(self) -> sqlite3.Connection:
        # Without a transaction of Python's own, every statement commits.
        database = sqlite3.connect(
            self.path,
            timeout=_BUSY_TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            database.execute("PRAGMA journal_mode = WAL").fetchall()
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(_CREATE)
        except sqlite3.Error:
            database.close()
            raise
        return database
