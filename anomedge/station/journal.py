"""State of a station on disk: which files were decided, and which outputs have got the event of each.

Three commits for each frame with a command; two without::

    decided, intent of line and sinks     synced to the disk, then the line and the sinks get the event
    success of line and sinks
    intent of a command                   synced to the disk, then the command runs
    success of a command

After a kill, an output with an intent and without a success may or may not have got the event: it gets it again, marked,
or never (`at_most_once`). The lock of the file, the log and the checks are those of `state_file`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from anomedge.errors import StateLost
from anomedge.station.database_file import Statement, run
from anomedge.station.output import line_of, storable_all
from anomedge.station.sources._listing import Stamp
from anomedge.station.sources._memory import Memory
from anomedge.station.spool import Mark
from anomedge.station.state_file import Entry, open_state_file

__all__ = ["Journal"]

_SET_NUMBER = "UPDATE state SET number = ?"
_SET_BUNDLE = "UPDATE state SET bundle = ?"
_SET_LISTED = "UPDATE state SET listed = 1"
_ADD_PART = "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?)"
_DELETE_PART = "DELETE FROM parts WHERE name = ?"
_ADD_EVENT = "INSERT INTO events VALUES (?, ?, ?, ?, ?)"
_ADD_SIGNAL = "INSERT INTO signals VALUES (?, ?, ?)"
_BEGIN = "UPDATE signals SET begun = 1 WHERE number = ? AND output = ?"
_DONE = "DELETE FROM signals WHERE number = ? AND output = ?"
_HANDED = "DELETE FROM signals WHERE output = ? AND number <= ?"
_DELETE_EVENTS = (
    "DELETE FROM events WHERE number NOT IN (SELECT number FROM signals)"
)


class Journal(Memory):
    """The state of a station. All methods may be called from any thread.

    Args:
        path: the file; created if it does not exist.
        bundle: digest of the station's bundle.
        folder: absolute path of the watched folder.
        at_most_once: a signal that was under way at a kill is not sent again.

    Attributes:
        last_bundle: digest of the bundle that the last run used.
        pending: events of earlier runs with outputs that have not got them, oldest first.
        failure: the error if the file cannot be written any more; every further change raises it.

    Raises:
        InputError: another station uses the file, or it is not the state of this folder.
        OutputError: it cannot be opened or written.
    """

    def __init__(
        self,
        path: Path,
        bundle: str,
        folder: Path,
        *,
        at_most_once: bool = False,
    ) -> None:
        self.path = path
        self.at_most_once = at_most_once
        self.failure: StateLost | None = None
        content = open_state_file(path, bundle, folder)
        self.last_bundle = content.bundle
        self.pending = content.pending
        self._token, self._number = content.token, content.number
        self._listed = content.listed
        self._known = content.known
        self._names = set(content.known)
        self._database = content.database
        self._lock = threading.RLock()
        self._closed = False

    def known(self) -> Mapping[str, Stamp]:
        """Return the version of each file that earlier runs decided or skipped."""
        return self._known

    def first_skip(self, present: Mapping[str, Stamp]) -> Mapping[str, Stamp]:
        """Store the files that the first listing of the first run skips; a later run skips none.

        Raises:
            StateLost: they cannot be stored.
        """
        if self._listed:
            return {}
        parts = [
            (os.fsencode(name), *stamp, "skipped", None)
            for name, stamp in present.items()
        ]
        self._commit((_SET_LISTED, [()]), (_ADD_PART, parts), sync=True)
        self._listed = True
        with self._lock:
            self._names.update(present)
        return present

    def keep_only(self, present: Collection[str]) -> None:
        """Forget the files that are no longer in the folder; their signals stay until they are sent.

        Raises:
            StateLost: the change cannot be stored.
        """
        with self._lock:
            gone = self._names.difference(present)
            if gone:
                names = [(os.fsencode(name),) for name in gone]
                self._commit((_DELETE_PART, names), sync=False)
                self._names -= gone

    def record(
        self,
        content: Mapping[str, Any],
        stamp: Stamp,
        *,
        now: Sequence[str],
        later: Sequence[str],
    ) -> Entry:
        """Store a decision and its outputs, and give the event its "id".

        Args:
            content: event of the frame, with "name", "label" and, if decided, "score".
            stamp: version of the frame's file.
            now: outputs that get the event at once: their intent is stored too.
            later: other outputs; `begin` stores their intent.

        Raises:
            StateLost: it cannot be stored. No output may get the event.
        """
        with self._lock:
            number = self._number + 1
            event = {**content, "id": f"{self._token}-{number}"}
            name = os.fsencode(content["name"])
            line = line_of(storable_all(event))
            part = (name, *stamp, content["label"], content.get("score"))
            outputs = dict.fromkeys(now, True) | dict.fromkeys(later, False)
            signals = [(number, *intent) for intent in outputs.items()]
            self._commit(
                (_SET_NUMBER, [(number,)]),
                (_ADD_PART, [part]),
                (_ADD_EVENT, [(number, line, name, *stamp)]),
                (_ADD_SIGNAL, signals),
                sync=True,
            )
            self._number = number
            self._names.add(content["name"])
        return Entry(number, event, stamp, dict.fromkeys(outputs, False))

    def set_bundle(self, digest: str) -> None:
        """Store that the station goes on with another bundle, so that a restart knows the last one.

        Raises:
            StateLost: it cannot be stored.
        """
        self._commit((_SET_BUNDLE, [(digest,)]), sync=True)
        self.last_bundle = digest

    def mark(self, entry: Entry) -> Mark:
        """Return the place of an event, for the spools of sinks."""
        return Mark(self._token, entry.number)

    def begin(self, number: int, output: str) -> None:
        """Store that the signal of an event to an output begins.

        Raises:
            StateLost: it cannot be stored. The output must not get the event.
        """
        self._commit((_BEGIN, [(number, output)]), sync=True)

    def done(
        self,
        number: int,
        outputs: Iterable[str],
        handed: Mapping[str, int] | None = None,
    ) -> None:
        """Store that outputs have got an event.

        Args:
            number: number of the event.
            outputs: those that have got it.
            handed: of outputs that have got all earlier events too, the number of the newest event.

        Raises:
            StateLost: it cannot be stored.
        """
        self._commit(
            (_DONE, [(number, output) for output in outputs]),
            (_HANDED, list((handed or {}).items())),
            (_DELETE_EVENTS, [()]),
            sync=False,
        )

    def check(self) -> None:
        """Raise the failure, if any: another thread may have met it."""
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        """Close the file, so that another station may use it."""
        with self._lock, suppress(sqlite3.Error):
            self._closed = True
            self._database.close()

    def _commit(self, *statements: Statement, sync: bool) -> None:
        """Run statements in one transaction, synced to the disk if a power cut must not lose it."""
        with self._lock:
            self.check()
            if self._closed:  # the reading thread may outlive the loop
                raise StateLost(f"the state {self.path} is closed")
            try:
                level = "FULL" if sync else "NORMAL"
                self._database.execute(f"PRAGMA synchronous = {level}")
                run(self._database, statements)
            except sqlite3.Error as error:
                self.failure = StateLost(
                    f"cannot write the state {self.path} ({error}); no signal is sent without it: make space or repair the "
                    "disk, and start again"
                )
                raise self.failure from error
