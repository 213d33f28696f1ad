"""Bounded queue between the thread that reads the source and the loop."""

from __future__ import annotations

import threading
from collections import deque

from anomedge.station.sources.base import CapturedFrame, SourceEvent

__all__ = ["READER_THREAD", "EventQueue"]

READER_THREAD = "anomedge reader"
"""Name of the threads that read a source into a queue. A camera driver may block one beyond the end of the loop."""


class EventQueue:
    """A bounded queue of source events. A live queue drops its oldest frame instead of blocking.

    Only frames are dropped, never unusable frames or connection changes.

    Args:
        size: largest number of waiting events.
        live: drop old frames.

    Attributes:
        dropped: number of dropped frames.
    """

    def __init__(self, size: int, *, live: bool) -> None:
        self.dropped = 0
        self._size = size
        self._live = live
        self._events: deque[SourceEvent] = deque()
        self._unreported = 0
        self._finished = self._closed = False
        self._changed = threading.Condition()

    def put(self, event: SourceEvent) -> bool:
        """Add an event once there is room; return False if the queue is closed."""
        with self._changed:
            while self._is_full() and not self._drop_oldest():
                self._changed.wait()
            if not self._closed:
                self._events.append(event)
                self._changed.notify_all()
            return not self._closed

    def get(self, timeout: float) -> tuple[SourceEvent | None, int]:
        """Return the next event and, with a frame, the number of frames dropped since the previous one.

        The event is None if none arrived within `timeout` seconds or the source ended.
        """
        with self._changed:
            if not self._events and not self._finished:
                self._changed.wait(timeout)
            if not self._events:
                return None, 0
            event, dropped = self._events.popleft(), 0
            if isinstance(event, CapturedFrame):
                dropped, self._unreported = self._unreported, 0
            self._changed.notify_all()
            return event, dropped

    @property
    def ended(self) -> bool:
        """Whether the source ended and every event was taken out."""
        with self._changed:
            return self._finished and not self._events

    def finish(self) -> None:
        """Declare that no event will be added."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def close(self) -> None:
        """Declare that no event will be taken out; `put` returns False from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _is_full(self) -> bool:
        return len(self._events) >= self._size and not self._closed

    def _drop_oldest(self) -> bool:
        """Drop the oldest frame of a live queue; return whether there was one."""
        if not self._live:
            return False
        for place, event in enumerate(self._events):
            if isinstance(event, CapturedFrame):
                del self._events[place]
                self.dropped += 1
                self._unreported += 1
                return True
        return False
