"""Base class of live sources: one rule for reconnection, time limits and dropped frames."""

from __future__ import annotations

import abc
import threading
from collections.abc import Generator
from typing import ClassVar

from anomedge.errors import SourceLost
from anomedge.station.sources._connection import (
    Connection,
    Disconnected,
    Shot,
    Shots,
)
from anomedge.station.sources.base import (
    ConnectionChange,
    FramePolicy,
    Source,
    SourceEvent,
    SourceOptions,
)

__all__ = ["FIRST_FRAME", "READ_TIMEOUT", "LiveSource"]

FIRST_FRAME = 10.0
"""Time from the opening of a source to its first frame, in seconds."""
READ_TIMEOUT = 5.0
"""Longest time between two frames, in seconds."""


class LiveSource(Source):
    """A source whose device gives frames at its own time, and is reopened whenever it stops.

    The first attempt waits `first_pause` seconds, each further attempt twice as long, up to `longest_pause`; a frame
    resets the delay. A frame that does not come within its time limit counts as a lost connection. With the policy
    `latest` the queue drops the oldest frames, which are counted; with `all` the source is not read while the queue is
    full.

    Attributes:
        device: what is opened, for messages.
        attempt: what an attempt does, for messages.
        default_policy: used without `--frames`.
        first_frame: time limit of the first frame of a connection, in seconds; 0 for none.
        read_timeout: time limit of the further frames, in seconds; 0 for none.
        retries: consecutive attempts before giving up; None for no limit.
    """

    takes = frozenset({"retries", "frames", "read_timeout", "first_frame"})
    device: ClassVar[str] = "camera"
    attempt: ClassVar[str] = "reopen it"
    default_policy: ClassVar[FramePolicy] = FramePolicy.LATEST
    first_pause: float = 1.0
    longest_pause: float = 30.0

    def __init__(self, title: str, options: SourceOptions | None) -> None:
        given = options or SourceOptions()
        self.title = title
        self.retries = given.retries
        policy = given.frames or self.default_policy
        self.live = policy is FramePolicy.LATEST
        self.first_frame = _or_default(given.first_frame, FIRST_FRAME)
        self.read_timeout = _or_default(given.read_timeout, READ_TIMEOUT)

    @classmethod
    def open(cls, address: str, options: SourceOptions) -> LiveSource:
        """Return the source of an address, the first argument of the class; it is opened when its events are read."""
        return cls(address, options)

    @abc.abstractmethod
    def frames(self, number: int, stop: threading.Event) -> Shots:
        """Open the device and yield its frames until it fails or `stop` is set; the first has the number `number` + 1.

        It runs in a thread of its own. Its return is the end of the stream, after which nothing is reopened.

        Raises:
            Disconnected: the connection failed.
            InputError: no attempt can succeed.
        """

    def interrupt(self) -> None:
        """End a blocked read in `frames`, from another thread."""

    def events(
        self, stop: threading.Event
    ) -> Generator[SourceEvent, None, None]:
        """Yield frames and connection changes until the stream ends or `stop` is set.

        Raises:
            SourceLost: no frame came in `retries` attempts.
        """
        number, attempts, limit = 0, 0, self.first_frame
        connection = self._connect(number)
        try:
            while not stop.is_set():
                shot, reason = self._next(connection, limit, stop)
                if shot is not None:
                    if attempts:
                        yield ConnectionChange(
                            "resumed", self.title, "frames come again", 0.0
                        )
                    number, attempts = shot.number, 0
                    limit = self.read_timeout
                    yield shot
                    continue
                if reason is None:
                    return
                yield self._waiting(reason, attempts)
                stop.wait(self._pause(attempts))
                attempts, limit = attempts + 1, self.first_frame
                if connection.ended and not stop.is_set():
                    connection = self._connect(number)
        finally:
            connection.close()

    def _connect(self, number: int) -> Connection:
        return Connection(
            lambda stop: self.frames(number, stop), self.interrupt
        )

    def _next(
        self, connection: Connection, limit: float, stop: threading.Event
    ) -> tuple[Shot | None, str | None]:
        """Return the next frame, or the reason why none came; neither if the stream ended or `stop` is set."""
        try:
            found = connection.next(limit, stop)
        except Disconnected as error:
            return None, str(error)
        if found == "late":
            connection.interrupt()
            return None, f"no frame came within {limit:g} s"
        if found == "ended":
            return None, None
        return found, None

    def _pause(self, attempts: int) -> float:
        return min(
            self.first_pause * 2.0 ** min(attempts, 30), self.longest_pause
        )

    def _waiting(self, reason: str, attempts: int) -> ConnectionChange:
        """Return the event before the next attempt.

        Raises:
            SourceLost: there is none.
        """
        if self.retries is not None and attempts >= self.retries:
            raise SourceLost(
                f"{self.title}: no frame after {attempts} attempts to {self.attempt} ({reason}); check the {self.device}"
            )
        text = f"{reason}; attempt {attempts + 1} to {self.attempt}"
        pause = self._pause(attempts)
        return ConnectionChange("waiting", self.title, text, pause)


def _or_default(given: float | None, default: float) -> float:
    return default if given is None else given
