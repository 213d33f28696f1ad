"""Delivery of events to one sink, in order, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from anomedge.files import JsonError, parse_json
from anomedge.station.sinks.base import Event, Sink, SinkDown
from anomedge.station.spool import Spool, SpooledEvent

__all__ = ["Delivery", "RetryRule"]

Report = Callable[[str, dict[str, Any]], None]
"""Called with the name of an event and its fields."""


def _ignore(event: str, fields: dict[str, Any]) -> None:
    del event, fields


@dataclass(frozen=True)
class RetryRule:
    """Delays between attempts, doubled after each failure, in seconds.

    Args:
        first: delay after the first failure.
        longest: largest delay.
        idle: interval of a sink's regular work, and of the sync of the spool.
    """

    first: float = 0.5
    longest: float = 30.0
    idle: float = 1.0

    def delay(self, failures: int) -> float:
        """Return the delay after a number of consecutive failures.

        >>> [RetryRule().delay(failures) for failures in (1, 2, 3, 7, 99)]
        [0.5, 1.0, 2.0, 30.0, 30.0]
        """
        return min(self.first * 2.0 ** min(failures - 1, 30), self.longest)


class Delivery:
    """Sends the events of a spool to a sink.

    A failure is repeated without limit: the queue keeps its order, and its size is the limit. After `finish`, the thread
    delivers the waiting events and ends at the first failure.

    Args:
        sink: closed at the end.
        spool: closed at the end.
        report: called with "sink" or "error" and the fields of the line.
        rule: delays.
    """

    def __init__(
        self,
        sink: Sink,
        spool: Spool,
        report: Report,
        rule: RetryRule | None = None,
    ) -> None:
        self.sink, self.spool = sink, spool
        self.delivered = 0
        self._report = report
        self._rule = rule or RetryRule()
        self._failures = 0
        self._worked = time.monotonic()
        self._thread = threading.Thread(
            target=self._run, name=f"sink {sink.name}", daemon=True
        )

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def finish(self, deadline: float) -> bool:
        """End the thread once the spool is empty or the sink is down, at the latest at a monotonic time.

        Returns:
            Whether it ended. If not, it may be in the middle of a delivery and is left alone.
        """
        self.spool.finish()
        while self._thread.is_alive() and time.monotonic() < deadline:
            # A short timeout lets Python run signal handlers in between.
            self._thread.join(0.1)
        ended = not self._thread.is_alive()
        if ended:
            self.spool.close()
        self._say_faults()
        self._say_left()
        # A thread that hangs writes no line after the last one.
        self._report = _ignore
        return ended

    def counts(self) -> dict[str, Any]:
        """Return the fields of this sink in the line "stopped"."""
        return {
            "name": self.sink.title,
            "delivered": self.delivered,
            "waiting": len(self.spool),
            "spool_dropped": self.spool.dropped,
        }

    def _run(self) -> None:
        try:
            while self._safe_step():
                self._say_faults()
        finally:
            self.sink.close()

    def _safe_step(self) -> bool:
        try:
            return self._step()
        except Exception as error:  # noqa: BLE001 - deliveries must go on
            message = f"a delivery failed ({type(error).__name__}: {error})"
            self._report("error", {"name": self.sink.title, "message": message})
            self.spool.pause(self._rule.longest)
            return not self.spool.closing

    def _step(self) -> bool:
        """Deliver an event, or wait for one; return whether to go on."""
        self._work()
        event = self.spool.head()
        if event is None:
            if self.spool.closing:
                self._work(now=True)
                return False
            # With waiting events, the disk cannot be read now.
            wait = self.spool.pause if len(self.spool) else self.spool.wait
            wait(self._rule.idle)
            return True
        content = self._content(event)
        if content is None:
            return True
        if event.repeated and self.spool.once:
            self.spool.discard(
                event,
                f"{content.get('id')} may have arrived, and is not sent again",
            )
            return True
        if not self.spool.begin(event):
            self.spool.pause(self._rule.idle)
            return not self.spool.closing
        try:
            self._attempt(lambda: self.sink.send(content))
        except SinkDown as down:
            if not down.sent:
                self.spool.not_sent()
            return self._wait_after(down)
        self.spool.done(event)
        self.delivered += 1
        self._say_up()
        return True

    def _content(self, event: SpooledEvent) -> Event | None:
        """Return the content of an event; remove it if it is not JSON."""
        try:
            content = parse_json(event.text)
        except JsonError as error:
            self.spool.discard(event, str(error))
            return None
        return content | ({"repeated": True} if event.repeated else {})

    def _work(self, *, now: bool = False) -> None:
        """Do the regular work of sink and spool, if it is time."""
        moment = time.monotonic()
        if not now and moment - self._worked < self._rule.idle:
            return
        self._worked = moment
        self.spool.sync()
        if self._failures and len(self.spool):
            # The next attempt is an event's.
            return
        try:
            self._attempt(self.sink.idle)
        except SinkDown as down:
            self._wait_after(down)
            return
        if not len(self.spool):
            self._say_up()

    def _attempt(self, call: Callable[[], None]) -> None:
        """Call the sink; make any other exception, of a plugin or its package, a `SinkDown`."""
        try:
            call()
        except SinkDown:
            raise
        except Exception as error:
            raise SinkDown(f"{type(error).__name__}: {error}") from error

    def _wait_after(self, down: SinkDown) -> bool:
        """Say that the sink is down, once; wait before the next attempt; return whether there is one."""
        self._failures += 1
        delay = self._rule.delay(self._failures)
        if self._failures == 1:
            self._say("down", f"{down}; next attempt in {delay:g} seconds")
        if self.spool.closing:
            return False
        self.spool.pause(delay)
        return True

    def _say_up(self) -> None:
        if self._failures:
            self._failures = 0
            self._say("up", "events are delivered again")

    def _say_left(self) -> None:
        if len(self.spool):
            self._say(
                "left",
                f"the waiting events stay in {self.spool.path}; the next start with this sink delivers them",
            )

    def _say(self, state: str, message: str) -> None:
        self._report(
            "sink",
            {
                "name": self.sink.title,
                "state": state,
                "message": message,
                "waiting": len(self.spool),
            },
        )

    def _say_faults(self) -> None:
        for message in self.spool.faults():
            text = f"spool {self.spool.path} {message}"
            self._report("error", {"name": self.sink.title, "message": text})
