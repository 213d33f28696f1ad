"""A thread that reads one connection of a live source, and the time limits of its frames.

Drivers block without a limit of their own, or with one that differs between them. The thread is therefore read with a
time limit that is the same for all. A driver that cannot be interrupted keeps its thread; no second one is opened beside
it, and frames that it gives later are taken.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Literal

from anomedge.station.queue import READER_THREAD, EventQueue
from anomedge.station.sources.base import CapturedFrame, UnusableFrame

__all__ = ["Connection", "Disconnected", "Frames", "Shot", "Shots"]

_POLL_INTERVAL = 0.1
"""Poll interval of the stop flag, in seconds."""
_END_TIMEOUT = 0.4
"""Time for the thread to end, in seconds; a driver may block it."""

Shot = CapturedFrame | UnusableFrame
Shots = Generator[Shot, None, None]
Frames = Callable[[threading.Event], Shots]
"""Opens a device, and yields its frames until the flag is set."""


class Disconnected(Exception):
    """A connection failed and may be opened again; the text is the reason."""


class Connection:
    """One connection, from its opening to its end.

    Args:
        frames: runs in the thread. Its return is the end of the stream; `Disconnected` and `OSError` are failures of the
            connection, all other errors are raised by `next`.
        interrupt: ends a blocked read, if the driver has a way to; called in the caller's thread.
    """

    def __init__(self, frames: Frames, interrupt: Callable[[], None]) -> None:
        self._frames, self._interrupt = frames, interrupt
        self._slot = EventQueue(1, live=False)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(
            target=self._read, name=READER_THREAD, daemon=True
        )
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether the connection ended and all its frames were taken."""
        return self._slot.ended

    def next(
        self, limit: float, stop: threading.Event
    ) -> Shot | Literal["late", "ended"]:
        """Return the next frame; "late" after `limit` seconds (0: no limit), "ended" at the end or if `stop` is set.

        Raises:
            Disconnected: the connection failed.
        """
        end = time.monotonic() + (limit or float("inf"))
        while not stop.is_set():
            left = min(end - time.monotonic(), _POLL_INTERVAL)
            event, _ = self._slot.get(max(left, 0))
            if isinstance(event, Shot):
                return event
            if self.ended:
                self._raise_error()
                return "ended"
            if time.monotonic() >= end:
                return "late"
        return "ended"

    def interrupt(self) -> None:
        """End a blocked read, if the driver can; return after a short time in any case."""
        self._interrupt()
        self._thread.join(_END_TIMEOUT)

    def close(self) -> None:
        """End the connection, or leave it to a thread that a driver blocks."""
        self._stop.set()
        self._slot.close()
        self.interrupt()

    def _read(self) -> None:
        """Move frames to the slot; body of the thread."""
        try:
            with closing(self._frames(self._stop)) as shots:
                for shot in shots:
                    if not self._slot.put(shot):
                        return
        except BaseException as error:  # noqa: BLE001 - `next` raises it
            self._error = error
        finally:
            self._slot.finish()

    def _raise_error(self) -> None:
        error = self._error
        if isinstance(error, OSError):
            raise Disconnected(error.strerror or str(error)) from error
        if error is not None:
            raise error
