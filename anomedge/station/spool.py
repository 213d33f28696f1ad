"""Bounded queue on disk of the events that a sink has not received.

The queue is an SQLite database with a write-ahead log. An event is committed before its first delivery starts, and so is
the number of the event that is being delivered. After a kill, every event that was not delivered is still there, and the
one whose delivery was under way is marked. The log reaches the disk about once a second (`sync`), so a power cut can
lose the last second.

A file of an earlier run is not trusted: another schema or content moves it aside. If the disk is full, events wait in
memory, up to a limit, until they can be stored; only then can a kill lose events or their marks.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from anomedge.errors import AnomedgeError, OutputError
from anomedge.station.database_file import Statement, run
from anomedge.station.spool_file import (
    DamagedSpool,
    NoSpace,
    SpoolContent,
    move_aside,
    open_spool_file,
)

__all__ = ["Mark", "Spool", "SpooledEvent"]

_MOST_IN_MEMORY = 1000
"""Largest number of events in memory while the disk takes none."""
_OVERHEAD = 64
"""Estimated size of a row besides its text, in bytes."""

_INSERT = "INSERT INTO events VALUES (?, ?)"
_DELETE = "DELETE FROM events WHERE number = ?"
_DELETE_DONE = "DELETE FROM events WHERE number <= ?"
_SET_SENT = "UPDATE progress SET sent = ?"
_SET_HANDED = "INSERT OR REPLACE INTO handed VALUES (?, ?)"
_GET_HANDED = "SELECT number FROM handed WHERE state = ?"
_OLDEST = (
    "SELECT number, text FROM events WHERE number > ? ORDER BY number LIMIT 1"
)


class Mark(NamedTuple):
    """Place of an event in a station's state; later events have higher numbers.

    Attributes:
        state: identity of the state.
        number: number of the event.
    """

    state: str
    number: int


class SpooledEvent(NamedTuple):
    """An event that waits for delivery.

    Attributes:
        number: its place in the queue.
        text: one JSON object, in ASCII.
        repeated: an earlier attempt may have delivered it.
    """

    number: int
    text: str
    repeated: bool


class Spool:
    """A queue of events on disk, oldest first, for one thread that adds and one that delivers.

    Only opening raises: inspection goes on without a disk. `faults` returns the messages.

    Args:
        path: the file; created if it does not exist.
        limit: largest size of the waiting events, in bytes; beyond it the oldest are dropped.
        once: drop an event whose delivery began and may have arrived, instead of delivering it again.
        strict: deliver only events on the disk, and only when the beginning is on the disk: without space, the sink waits.

    Attributes:
        dropped: number of events that were lost.
        closing: no further event comes.

    Raises:
        InputError: another process uses the file.
        OutputError: the file cannot be created or written; with `strict`, also where there is no space.
    """

    def __init__(
        self,
        path: Path,
        limit: int,
        *,
        once: bool = False,
        strict: bool = False,
    ) -> None:
        self.path, self.limit = path, limit
        self.once, self.strict = once, strict
        self.dropped = 0
        self.closing = False
        self._changed = threading.Condition()
        self._faults: list[str] = []
        self._conditions: set[str] = set()
        self._in_memory: deque[tuple[int, str]] = deque()
        # Of the events in memory: the newest mark.
        self._mark: Mark | None = None
        self._database: sqlite3.Connection | None = None
        # Numbers: next event; newest whose delivery began; newest delivered.
        self._next, self._sent, self._done = 1, 0, 0
        self._sent_before = 0
        # Events up to this number went with a damaged file.
        self._lost = 0
        self._count = self._bytes = 0
        self._open()

    def __len__(self) -> int:
        return self._count

    def faults(self) -> list[str]:
        """Return the messages since the last call; a lasting condition gives one message."""
        with self._changed:
            found, self._faults = self._faults, []
        return found

    def put(self, text: str, mark: Mark | None = None) -> None:
        """Add an event, and drop the oldest ones if the queue is too large; `handed` knows the mark."""
        with self._changed:
            self._in_memory.append((self._next, text))
            self._mark = mark or self._mark
            self._next += 1
            self._count += 1
            self._bytes += len(text) + _OVERHEAD
            self._store()
            self._make_room()
            self._changed.notify_all()

    def handed(self, state: str) -> int | None:
        """Return the number of the newest event of a state that was stored, also if it was delivered since."""
        with self._changed:
            rows = self._select(_GET_HANDED, state)
        return int(rows[0][0]) if rows else None

    def head(self) -> SpooledEvent | None:
        """Return the oldest event; None if there is none, or the disk cannot be read now."""
        with self._changed:
            if self.strict:  # the disk may have space again
                self._store()
            found = self._oldest(self._done)
            if found is None:
                return None
            return SpooledEvent(*found, repeated=found[0] <= self._sent)

    def begin(self, event: SpooledEvent) -> bool:
        """Record that the delivery of an event begins; return whether it may."""
        with self._changed:
            self._sent_before = self._sent
            self._sent = max(self._sent, event.number)
            if self._write_progress() or not self.strict:
                return True
            self._sent = self._sent_before
            return False

    def not_sent(self) -> None:
        """Record that the delivery that began has not sent the event."""
        with self._changed:
            self._sent = self._sent_before
            self._write_progress()

    def done(self, event: SpooledEvent) -> None:
        """Remove an event that was delivered."""
        with self._changed:
            self._done = event.number
            self._skip_delivered()
            if event.number > self._lost:
                self._forget(event.text)
            # With further events, the next `begin` writes it.
            if self._count == 0:
                self._write_progress()

    def discard(self, event: SpooledEvent, reason: str) -> None:
        """Remove an event that cannot be delivered; count it as lost."""
        self.done(event)
        with self._changed:
            self.dropped += 1
            self._faults.append(f"dropped an event: {reason}")

    def sync(self) -> None:
        """Write the log to the disk."""
        with self._changed:
            self._select("PRAGMA wal_checkpoint(PASSIVE)")

    def wait(self, seconds: float) -> None:
        """Wait until there is an event or `finish` is called, at most `seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: self.closing or self._count, seconds)

    def pause(self, seconds: float) -> None:
        """Wait until `finish` is called, at most `seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: self.closing, seconds)

    def finish(self) -> None:
        """Declare that no further event comes; end every wait."""
        with self._changed:
            self.closing = True
            self._changed.notify_all()

    def close(self) -> None:
        """Store the remaining events and close the file; events that only memory has are lost."""
        with self._changed:
            self._store()
            self._write_progress()
            lost = len(self._in_memory)
            self._in_memory.clear()
            self._count -= lost
            self.dropped += lost
            if self._database is not None:
                with suppress(sqlite3.Error):
                    self._database.close()
                self._database = None

    def _open(self) -> None:
        try:
            content = self._opened()
        except NoSpace as error:
            if self.strict:
                raise OutputError(
                    f"cannot open the spool {self.path} ({error}); make space, or give --spool another disk"
                ) from error
            self._say_disk(f"cannot be opened ({error})")
            return
        self._database = content.database
        self._sent = content.sent
        self._next = max(content.newest, content.sent) + 1
        self._count = content.events
        self._bytes = content.size + content.events * _OVERHEAD

    def _opened(self) -> SpoolContent:
        try:
            return open_spool_file(self.path)
        except DamagedSpool as error:
            kept = move_aside(self.path)
            self._faults.append(f"was damaged ({error}) and is now {kept}")
            return open_spool_file(self.path)

    def _oldest(self, after: int) -> tuple[int, str] | None:
        rows = self._select(_OLDEST, after)
        if rows is None:
            return None
        if rows:
            number, text = rows[0]
            return number, text
        if self.strict:
            return None
        return next((e for e in self._in_memory if e[0] > after), None)

    def _store(self) -> None:
        """Move the events in memory to the disk, all or none."""
        if not self._in_memory:
            return
        marks = [] if self._mark is None else [self._mark]
        if self._write((_INSERT, list(self._in_memory)), (_SET_HANDED, marks)):
            self._in_memory.clear()
            self._mark = None
            self._conditions.discard("disk")
        while len(self._in_memory) > _MOST_IN_MEMORY:
            found = next(e for e in self._in_memory if e[0] > self._kept)
            self._in_memory.remove(found)
            self._lose(found[1])
            self._say("memory", "dropped its oldest events: memory is full too")

    @property
    def _kept(self) -> int:
        """Number of the newest event that is never dropped, because its delivery has begun."""
        return max(self._done, self._sent)

    def _make_room(self) -> None:
        """Drop the oldest events until the queue has its size; keep the one being delivered and the newest."""
        while self._bytes > self.limit:
            found = self._oldest(self._kept)
            if found is None or found[0] == self._next - 1:
                return
            if not self._remove(found):
                return
            self._lose(found[1])
            self._say(
                "full",
                f"is full ({self.limit} bytes): the oldest events are dropped",
            )

    def _remove(self, event: tuple[int, str]) -> bool:
        if event in self._in_memory:
            self._in_memory.remove(event)
            return True
        return self._write((_DELETE, [(event[0],)]))

    def _lose(self, text: str) -> None:
        self._forget(text)
        self.dropped += 1

    def _forget(self, text: str) -> None:
        self._count -= 1
        self._bytes -= len(text) + _OVERHEAD
        if self._bytes < self.limit // 2:
            self._conditions.discard("full")

    def _write_progress(self) -> bool:
        return self._write(
            (_DELETE_DONE, [(self._done,)]), (_SET_SENT, [(self._sent,)])
        )

    def _skip_delivered(self) -> None:
        while self._in_memory and self._in_memory[0][0] <= self._done:
            self._in_memory.popleft()

    def _write(self, *statements: Statement) -> bool:
        """Run statements in one transaction; return whether it was committed."""
        if self._database is None:
            return False
        try:
            run(self._database, statements)
        except sqlite3.Error as error:
            self._report(error)
            return False
        return True

    def _select(self, text: str, *values: int | str) -> list[Any] | None:
        """Return rows; none without a file, None if it cannot be read."""
        if self._database is None:
            return []
        try:
            return self._database.execute(text, values).fetchall()
        except sqlite3.Error as error:
            self._report(error)
            return None

    def _report(self, error: sqlite3.Error) -> None:
        """Say that the disk fails; replace a damaged file."""
        if isinstance(error, sqlite3.OperationalError):
            self._say_disk(f"cannot be written ({error})")
            return
        self._replace_damaged(error)

    def _replace_damaged(self, error: sqlite3.Error) -> None:
        lost = self._count - len(self._in_memory)
        self._count -= lost
        self._lost = self._next - len(self._in_memory) - 1
        self._bytes = sum(len(e[1]) + _OVERHEAD for e in self._in_memory)
        self.dropped += lost
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None
        self._faults.append(f"is damaged ({error}): {lost} events are lost")
        with suppress(AnomedgeError, NoSpace, DamagedSpool):
            move_aside(self.path)
            self._database = open_spool_file(self.path).database

    def _say_disk(self, fault: str) -> None:
        self._say("disk", f"{fault}: events wait in memory")

    def _say(self, condition: str, message: str) -> None:
        """Add a message unless the condition lasts since an earlier one."""
        if condition not in self._conditions:
            self._conditions.add(condition)
            self._faults.append(message)
