"""JSON lines that a station writes: one object per event, with "event" and "time" (ISO 8601, UTC).

=========  =====================================================================================
"""

from __future__ import annotations

import json
import threading
import time
from datetime import datetime, timezone
from typing import TextIO

from anomedge.errors import OutputLost
from anomedge.station.reader import has_lost_reader

__all__ = ["EventWriter"]

_NO_READER = "the reader of the output lines went away; expected it to read until the end: restart both"


class EventWriter:
    """Writes events as JSON lines, flushed one by one; safe to call from any thread.

    Attributes:
        closed: the reader closed the stream, or writing failed.
        failure: the error if so.
        errors: number of error events.
    """

    def __init__(self, stream: TextIO) -> None:
        self.closed = False
        self.failure: OutputLost | None = None
        self.errors = 0
        self._stream = stream
        self._lock = threading.Lock()

    def write(
        self, event: str, *, moment: float | None = None, **fields: object
    ) -> str:
        """Write an event and return its line without the line feed; once closed, only return it.

        Args:
            event: name of the event.
            moment: time of the event, in seconds since 1970; now by default.
            **fields: further keys of the object.
        """
        seconds = time.time() if moment is None else moment
        when = datetime.fromtimestamp(seconds, timezone.utc)
        content = {
            "event": event,
            "time": when.isoformat(timespec="milliseconds"),
            **fields,
        }
        # Escaped to ASCII because names may not be valid Unicode.
        line = json.dumps(content, allow_nan=False)
        with self._lock:
            self.errors += event == "error"
            if not self.closed:
                self._send(line)
        return line

    def error(
        self, name: str, message: str, moment: float | None = None
    ) -> None:
        """Write an error event."""
        self.write("error", moment=moment, name=name, message=message)

    def check_reader(self) -> None:
        """Notice a reader that went away since the last line."""
        if not self.closed and has_lost_reader(self._stream):
            self._fail(_NO_READER)

    def _send(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except ConnectionError:
            self._fail(_NO_READER)
        except OSError as error:
            self._fail(
                f"cannot write the output lines ({error.strerror or error}); redirect standard output to a place with space"
            )

    def _fail(self, message: str) -> None:
        self.closed = True
        self.failure = OutputLost(message)
