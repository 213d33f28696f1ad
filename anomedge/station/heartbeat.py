"""A sign of life at a fixed interval."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Heartbeat"]


class Heartbeat:
    """Calls a function once per interval, from the thread that calls `beat`; a hanging thread gives no sign of life.

    Args:
        seconds: the interval; None for no sign of life.
        write: the function.
        clock: a clock that never goes back, in seconds.
    """

    def __init__(
        self,
        seconds: float | None,
        write: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._write = write
        self._clock = clock
        self._last = clock()

    def beat(self) -> None:
        """Call the function if the interval is over. After a long pause it is called once."""
        if self._seconds is None:
            return
        now = self._clock()
        if now - self._last >= self._seconds:
            self._last = now
            self._write()
