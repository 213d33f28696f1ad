"""JSON lines that a station writes: one object per event, with "event" and "time" (ISO 8601, UTC).

========  =============================================================================================
started   "source", "bundle", "digest", "runtime", "running_on", "threshold"
frame     "number", "name", "label", "score", "threshold", "anomalous_pixels" (share; not for a detector
          without a map), "milliseconds" (of the runtime) and "dropped": frames dropped since the previous
          frame
error     "name", "message"
waiting   "name", "message", "seconds" until the next attempt: the connection to the source was lost
resumed   "name", "message", "seconds" (0): the connection is restored
missed    "name" of one, "message", "count": pictures that were gone, or changed again, before they were read
ignored   "name" of one, "message", "count": entries of a folder that are no pictures; once for each kind
changed   "name", "message": files at the bundle's path changed since the bundle was opened; labels are
          still those of the opened bundle
stopped   "frames" inspected, "anomalous", "errors" (lines), "dropped", "missed", "ignored"
========  =============================================================================================
"""

from __future__ import annotations

import json
import threading
import time
from datetime import datetime, timezone
from typing import TextIO

from anomedge.errors import OutputError

__all__ = ["EventWriter"]


class EventWriter:
    """Writes events as JSON lines, flushed one by one; safe to call from any thread.

    Attributes:
        closed: the reader closed the stream, or writing failed.
        failure: the error if writing failed.
        errors: number of error events.
    """

    def __init__(self, stream: TextIO) -> None:
        self.closed = False
        self.failure: OutputError | None = None
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

    def _send(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except ConnectionError:  # the reader closed the pipe: a normal end
            self.closed = True
        except OSError as error:
            self.closed = True
            self.failure = OutputError(
                f"cannot write the output lines ({error.strerror or error}); redirect standard output to a place with space"
            )
