"""JSON lines that a station writes: one object per event, with "event" and "time" (ISO 8601, UTC).

============  ============================================================================================
started       "source", "bundle", "digest", "runtime", "running_on", "threshold", "local" (path of the local.json in
              force; null without one)
frame         "number", "name", "label", "score", "threshold", "anomalous_pixels" (share; not for a detector
              without a map), "milliseconds" (of the runtime) and "dropped": frames dropped since the
              previous frame
error         "name", "message"; an undecided frame also has "number", "label" ("undecided") and "dropped"
waiting       "name", "message", "seconds" until the next attempt: the connection to the source was lost
resumed       "name", "message", "seconds" (0): the connection is restored
missed        "name" of one, "message", "count": pictures that were gone, or changed again, before they were read
ignored       "name" of one, "message", "count": entries of a folder that are no pictures; once for each kind
lost          "name", "frame" (id of its event), "label", "output", "message": with `at_most_once`, a kill may have
              kept this output from its event
changed       "name", "state", "message": files at the bundle's path changed; "noticed": they are used when they
              are whole and checked; "refused": the bundle is pinned
decision      "name" (path of local.json), "state", "message", "threshold", "old_threshold", "pixel_threshold",
              "old_pixel_threshold": a changed threshold was "applied" or "refused"
bundle        "name", "state", "message", "digest", "old_digest", "threshold", "old_threshold", "running_on": a
              changed bundle was "applied" or "refused"; "restored": the files are those of the bundle in use
reloaded      "name" (path of local.json), "message", "threshold": SIGHUP came
drift         "number", "name" of the figure ("scores", "alarms", "brightness", "contrast" or "sharpness"), "state"
              ("begun" or "over"), "statistic", "limit", "frames" compared, "value" and "reference" (medians, or shares
              of alarms, with an "interval"), "compared_with", "message"
distribution  "number", and "figures": the fields of a drift for each figure; once per window
heartbeat     the counts of "stopped" so far, and "pending": commands that wait
sink          "name", "state", "message", "waiting" (events in its spool): a sink is "down", "up" again, or has
              events "left" in its spool at the end
unwritten     "message", "count": lines before this one that a full disk did not take
stopped       "frames" decided, "anomalous", "undecided", "errors" (lines), "dropped", "missed", "ignored", "unwritten"
============  ============================================================================================

With a state, the event of a frame has an "id", the same after a restart, and "repeated" (true) if this output may have
got it before. With sinks, the events in `SHARED` go to every sink and have an "id", unique and equal in all of them; "stopped" then has
"sinks": of each the "name" and the events "delivered", "waiting" and "spool_dropped".
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, TextIO

from anomedge.errors import OutputLost
from anomedge.names import storable
from anomedge.station.deliveries import Deliveries
from anomedge.station.line_stream import LineStream
from anomedge.station.reader import has_lost_reader
from anomedge.station.spool import Mark

__all__ = ["SHARED", "EventWriter", "content_of", "line_of", "storable_all"]

Content = Mapping[str, Any]

SHARED = frozenset(
    [
        "started",
        "frame",
        "error",
        "missed",
        "ignored",
        "waiting",
        "resumed",
        "changed",
        "decision",
        "bundle",
        "reloaded",
        "drift",
        "lost",
        "stopped",
    ]
)
"""Events that go to sinks; errors of sinks themselves do not."""

_NO_READER = "the reader of the output lines went away; expected it to read until the end: restart both"


class EventWriter:
    """Writes events as JSON lines, flushed one by one; safe to call from any thread.

    Args:
        stream: receives the lines.
        sinks: receive the shared events too, also when the stream fails. They start with the first line; the line
            "stopped" is delayed until they have the waiting events, for a limited time.
        warn: called with a message when a full disk does not take a line, and when it takes one again.

    A full disk loses lines and nothing else: the next line that it takes is preceded by one that counts them.

    Attributes:
        closed: the reader closed the stream, or writing failed.
        errors: number of error events.
    """

    def __init__(
        self,
        stream: TextIO,
        sinks: Deliveries | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.closed = False
        self.errors = 0
        self._failure: OutputLost | None = None
        self._stream, self._lines = stream, LineStream(stream)
        # Number of lines lost when the last one was written.
        self._lost_before = 0
        self._warn = warn
        self._sinks = sinks
        self._lock = threading.Lock()

    @property
    def unwritten(self) -> int:
        """Number of lines that a full disk did not take."""
        return self._lines.lost

    @property
    def failure(self) -> OutputLost | None:
        """The error if lines were lost."""
        if self._failure is None and self.unwritten:
            return OutputLost(
                f"{self.unwritten} output lines were not written, because their disk was full; expected space for them"
            )
        return self._failure

    def write(
        self, event: str, *, moment: float | None = None, **fields: object
    ) -> str:
        """Write an event and return its line without the line feed; once closed, only return it.

        Args:
            event: name of the event.
            moment: time of the event, in seconds since 1970; now by default.
            **fields: further keys of the object.
        """
        content = content_of(event, moment, fields)
        if self._sinks is not None and event in SHARED:
            self._share(self._sinks, content)
        line = self._write(content)
        if self._sinks is not None and event == "started":
            self._sinks.start(self._write_about_sinks)
        return line

    def error(
        self, name: str, message: str, moment: float | None = None
    ) -> None:
        """Write an error event."""
        self.write("error", moment=moment, name=name, message=message)

    @property
    def sinks(self) -> list[str]:
        """Titles of the sinks."""
        return [] if self._sinks is None else self._sinks.titles

    def handed(self, sink: str, state: str) -> int | None:
        """Return the number of the newest event of a state that is safe in a sink's spool, or was delivered."""
        return None if self._sinks is None else self._sinks.handed(sink, state)

    def hand(self, sink: str, content: Content, mark: Mark) -> None:
        """Give an event, which has an identifier, to one sink."""
        if self._sinks is not None:
            with self._lock:
                self._sinks.hand(sink, line_of(storable_all(content)), mark)

    def write_line(self, content: Content) -> bool:
        """Write an event, which has an identifier, as a line; return whether it was written."""
        with self._lock:
            return self._write_locked(content)

    def check_reader(self) -> None:
        """Notice a reader that went away since the last line."""
        if not self.closed and has_lost_reader(self._stream):
            self._fail(_NO_READER)

    def _share(self, sinks: Deliveries, content: dict[str, Any]) -> None:
        """Give an event an identifier and to all sinks; at the end, wait for them."""
        is_last = content["event"] == "stopped"
        with self._lock:
            content["id"] = sinks.next_id()
            sinks.put(line_of(storable_all(content)))
            if is_last:
                sinks.end()
        if is_last:
            # Without the lock: the sinks may write lines meanwhile.
            content["sinks"] = sinks.finish()

    def _write_about_sinks(self, event: str, fields: dict[str, Any]) -> None:
        self._write(content_of(event, None, fields))

    def _write(self, content: Content) -> str:
        with self._lock:
            self._write_locked(content)
        return line_of(content)

    def _write_locked(self, content: Content) -> bool:
        """Write an event, with the lock held; return whether it was written."""
        self.errors += content["event"] == "error"
        return not self.closed and self._send(line_of(content))

    def _send(self, line: str) -> bool:
        lost = self._lines.lost - self._lost_before
        text = f"{line_of(_unwritten(lost))}\n{line}" if lost else line
        try:
            written = self._lines.write(text)
        except ConnectionError:
            self._fail(_NO_READER)
        except OSError as error:
            self._fail(
                f"cannot write the output lines ({error.strerror or error}); redirect standard output to a place with space"
            )
        else:
            self._note_space(written, lost)
            return written
        return False

    def _note_space(self, written: bool, lost: int) -> None:
        """Say that the disk got full, or has space again."""
        if written:
            self._lost_before = self._lines.lost
        if self._warn is None:
            return
        if lost and written:
            self._warn(f"output lines are written again; {lost} are missing")
        elif not lost and not written:
            self._warn(
                "no space for the output lines; inspection goes on, and they are counted: make space"
            )

    def _fail(self, message: str) -> None:
        self.closed = True
        self._failure = OutputLost(message)


def content_of(
    event: str, moment: float | None, fields: Content
) -> dict[str, Any]:
    """Return an event; its time is now if `moment` is None."""
    seconds = time.time() if moment is None else moment
    when = datetime.fromtimestamp(seconds, timezone.utc)
    stated = when.isoformat(timespec="milliseconds")
    return {"event": event, "time": stated, **fields}


def _unwritten(count: int) -> Content:
    message = f"{count} lines before this one are missing: the disk was full"
    return content_of("unwritten", None, {"message": message, "count": count})


def line_of(content: Content) -> str:
    """Return an event as one line, escaped to ASCII because names may not be valid Unicode."""
    return json.dumps(content, allow_nan=False)


def storable_all(content: Content) -> Content:
    """Escape lone surrogates, which receivers of JSON refuse."""
    return {
        key: storable(value) if isinstance(value, str) else value
        for key, value in content.items()
    }
