"""Events as values of a controller: a label code, a score, a state."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import NamedTuple

from anomedge.station.sinks.base import Event

__all__ = ["LABEL_CODES", "STATE_CODES", "Verdict", "state_of", "verdict_of"]

LABEL_CODES = {"normal": 1, "anomalous": 2, "undecided": 3}
"""Codes of labels; 0 stands for no verdict yet."""
STATE_CODES = {"stopped": 0, "running": 1, "waiting": 2}
"""Codes of a station's states."""

_STATES = {
    "started": "running",
    "resumed": "running",
    "frame": "running",
    "waiting": "waiting",
    "stopped": "stopped",
}


class Verdict(NamedTuple):
    """The verdict on one frame.

    Attributes:
        identifier: the event's.
        number: of the frame; 0 if unknown.
        name: of the frame.
        label: a key of `LABEL_CODES`.
        score: NaN for an undecided frame.
        time: of capture, UTC, without a time zone.
        repeated: it may have been sent before.
    """

    identifier: str
    number: int
    name: str
    label: str
    score: float
    time: datetime
    repeated: bool


def verdict_of(event: Event) -> Verdict | None:
    """Return the verdict that an event states; None if it is not about a frame, or not in the expected form."""
    label, score = event.get("label"), event.get("score", math.nan)
    if label not in LABEL_CODES or not isinstance(score, (int, float)):
        return None
    number = event.get("number", 0)
    return Verdict(
        str(event.get("id", "")),
        number if isinstance(number, int) else 0,
        str(event.get("name", "")),
        label,
        float(score),
        _time_of(str(event.get("time", ""))),
        event.get("repeated") is True,
    )


def state_of(event: Event) -> str | None:
    """Return the station's state after an event, a key of `STATE_CODES`; None if the event says nothing about it."""
    return _STATES.get(str(event.get("event")))


def _time_of(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return datetime(1970, 1, 1)
    return found.astimezone(timezone.utc).replace(tzinfo=None)
