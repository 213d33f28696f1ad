"""All sinks of a station: their spools, the identifiers of events, the drain at the end."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anomedge.errors import InputError
from anomedge.files import state_folder
from anomedge.station.delivery import Delivery, Report, RetryRule
from anomedge.station.sinks import Sink, open_sink
from anomedge.station.spool import Mark, Spool

__all__ = ["Deliveries", "default_spool_folder", "open_sinks"]

DRAIN_SECONDS = 10.0
"""Time at the end of a run for the delivery of the waiting events, for all sinks together."""


class Deliveries:
    """The sinks of a station.

    Args:
        sinks: each with its spool; the station closes them.
        rule: delays of all sinks.
        drain: time at the end for the delivery of the waiting events, in seconds.
    """

    def __init__(
        self,
        sinks: Sequence[tuple[Sink, Spool]],
        rule: RetryRule | None = None,
        drain: float = DRAIN_SECONDS,
    ) -> None:
        self._sinks, self._rule, self._drain = sinks, rule, drain
        self._deliveries: list[Delivery] = []
        self._run = secrets.token_hex(8)
        self._number = 0
        self._ended = False

    def start(self, report: Report) -> None:
        """Start one thread for each sink.

        Args:
            report: called from these threads, without a lock held, with an event's name and fields.
        """
        self._deliveries = [
            Delivery(sink, spool, report, self._rule)
            for sink, spool in self._sinks
        ]
        for delivery in self._deliveries:
            delivery.start()

    def next_id(self) -> str:
        """Return the identifier of the next event: a random one of this run, and a number that rises by 1."""
        self._number += 1
        return f"{self._run}-{self._number}"

    def put(self, line: str) -> None:
        """Store an event for every sink, unless the station has ended."""
        if not self._ended:
            for _, spool in self._sinks:
                spool.put(line)

    @property
    def titles(self) -> list[str]:
        """Titles of the sinks."""
        return [sink.title for sink, _ in self._sinks]

    def hand(self, title: str, line: str, mark: Mark) -> None:
        """Store an event of a frame for one sink."""
        self._spool(title).put(line, mark)

    def handed(self, title: str, state: str) -> int | None:
        """Return the number of the newest event of a state that a sink's spool has stored."""
        return self._spool(title).handed(state)

    def _spool(self, title: str) -> Spool:
        return next(s for sink, s in self._sinks if sink.title == title)

    def end(self) -> None:
        """Refuse further events."""
        self._ended = True

    def finish(self) -> list[dict[str, Any]]:
        """Deliver the waiting events within the time, close everything, and return the counts of each sink."""
        self.end()
        deadline = time.monotonic() + self._drain
        for _, spool in self._sinks:
            spool.finish()
        for delivery in self._deliveries:
            delivery.finish(deadline)
        return [delivery.counts() for delivery in self._deliveries]


def open_sinks(
    addresses: Sequence[str],
    folder: Path | None,
    limit: int,
    *,
    once: bool = False,
    strict: bool = False,
) -> Deliveries | None:
    """Open the sinks of addresses, each with its spool in a folder; None if there is no address.

    Args:
        addresses: see `open_sink`.
        folder: of the spools; None for `default_spool_folder`.
        limit: largest size of each spool's events, in bytes.
        once: send no event twice, see `Spool`.
        strict: send no event that the disk does not have, see `Spool`.

    Raises:
        InputError: an address cannot be used or is given twice, or another station uses its spool.
        RuntimeMissing: a sink's package is not installed.
        OutputError: the folder cannot be written.
    """
    if not addresses:
        return None
    sinks = [open_sink(address) for address in addresses]
    titles = [sink.title for sink in sinks]
    for title in titles:
        if titles.count(title) > 1:
            raise InputError(
                f"got --sink {title} twice; expected each sink once"
            )
    place = folder or default_spool_folder()
    return Deliveries(_with_spools(sinks, place, limit, once, strict))


def _with_spools(
    sinks: Sequence[Sink], folder: Path, limit: int, once: bool, strict: bool
) -> list[tuple[Sink, Spool]]:
    opened: list[tuple[Sink, Spool]] = []
    try:
        for sink in sinks:
            path = folder / _file_name(sink)
            spool = Spool(path, limit, once=once, strict=strict)
            opened.append((sink, spool))
    except BaseException:
        for _, spool in opened:
            spool.close()
        raise
    return opened


def default_spool_folder() -> Path:
    """Return anomedge/spool in the user's state folder: $XDG_STATE_HOME, or ~/.local/state."""
    return state_folder() / "spool"


def _file_name(sink: Sink) -> str:
    """Return the name of a sink's spool; it depends on its address without the password."""
    digest = hashlib.sha256(sink.title.encode()).hexdigest()[:16]
    return f"{sink.name}-{digest}.spool"
