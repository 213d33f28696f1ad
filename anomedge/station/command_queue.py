"""Bounded queue of the commands that wait; one thread runs them in order."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Protocol

from anomedge.station.outcome import Outcome

__all__ = ["CommandQueue", "Reaction"]

_POLL_INTERVAL = 0.1
"""Interval between two calls of `while_waiting`, in seconds."""
_GRACE = 5.0
"""Time that the end of a killed command may take, in seconds."""


class Reaction(Protocol):
    """A command, or other work for one frame at a time; it raises nothing.

    Attributes:
        option: the option that asks for it.
        timeout: its longest time, in seconds.
    """

    option: str
    timeout: float

    def run(self, outcome: Outcome) -> None:
        """Do the work for a frame and wait for its end."""

    def kill(self) -> None:
        """End the running work at once."""

    def close(self) -> None:
        """Kill processes that the work has left behind."""


class CommandQueue:
    """Runs commands one after another, in the order of their frames, in a thread of its own.

    If the queue is full, `submit` blocks: no command is lost, and inspection waits. A command ends after its timeout at
    the latest, so there is room after one timeout.

    Args:
        size: largest number of commands that wait, the running one left out.
    """

    def __init__(self, size: int = 4) -> None:
        self._jobs: queue.Queue[tuple[Reaction, Outcome] | None] = queue.Queue(
            size
        )
        self._running: Reaction | None = None
        self._worker: threading.Thread | None = None

    @property
    def pending(self) -> int:
        """Number of commands that wait."""
        return self._jobs.qsize()

    def submit(
        self,
        command: Reaction,
        outcome: Outcome,
        while_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        """Queue a command for a frame; block while the queue is full.

        Args:
            command: the command.
            outcome: outcome of the frame.
            while_waiting: called again and again while the queue is full, but no longer than a command may take: then
                the thread hangs, and the station must not look alive.
        """
        self._start()
        limit = time.monotonic() + command.timeout + _GRACE
        while True:
            try:
                self._jobs.put((command, outcome), timeout=_POLL_INTERVAL)
                return
            except queue.Full:
                if time.monotonic() < limit:
                    while_waiting()

    def close(self) -> None:
        """Wait until every queued command has run."""
        if self._worker is None:
            return
        self._jobs.put(None)
        while self._worker.is_alive():
            # A timeout lets Python run signal handlers in between.
            self._worker.join(1.0)

    def kill(self) -> None:
        """Kill the running command and its process group."""
        command = self._running
        if command is not None:
            command.kill()

    def _start(self) -> None:
        if self._worker is None:
            self._worker = threading.Thread(
                target=self._work, name="commands", daemon=True
            )
            self._worker.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            command, outcome = job
            self._running = command
            command.run(outcome)
