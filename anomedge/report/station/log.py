"""Read the lines of `anomedge watch`; a log is untrusted, so that sizes and numbers are bounded."""

from __future__ import annotations

import heapq
import itertools
import math
import re
from array import array
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from anomedge.errors import InputError
from anomedge.files import open_plain, parse_json
from anomedge.names import storable

__all__ = ["LABELS", "DriftSpan", "Gap", "StationLog", "WorstFrame", "read_log"]

LABELS = ("normal", "anomalous", "undecided")
LONGEST_LINE = 1 << 17
"""Largest length of a line, in bytes."""
MOST_FRAMES = 2_000_000
"""Largest number of frames that are drawn."""
MOST_EVENTS = 10_000
"""Largest number of kept events of each further kind."""
_MOST_REASONS = 200
_MOST_WORST = 100
_RECENT = 4096
_LONGEST_TEXT = 300
_LARGEST_COUNT = 1 << 48
_LATEST = 200e9  # the year 8307; later ones cannot be shown
_FIGURES = ("scores", "alarms", "brightness", "contrast", "sharpness")

_LONE_BYTE = re.compile(
    rb"(?<!\\)(?<!\\ud[89ab][0-9a-f]{2})((?:\\\\)*)\\udc([89a-f][0-9a-f])"
)
"""Escape of a byte that is not UTF-8 in a name, which the strict reader refuses; no part of a surrogate pair."""

Event = dict[str, Any]


class WorstFrame(NamedTuple):
    """An anomalous frame with one of the highest scores; `time` is in seconds since 1970."""

    score: float
    number: int
    time: float
    name: str


@dataclass
class DriftSpan:
    """A drift of one figure, from its beginning to its end; `end` is None if it is not over."""

    name: str
    begin: float
    end: float | None
    message: str


@dataclass
class Gap:
    """Time without a connection to the source; `end` is None if it was not restored."""

    begin: float
    end: float | None
    message: str


@dataclass
class StationLog:
    """Content of a log.

    Attributes:
        lines, bad, repeated: numbers of all lines, of lines that are no events, and of repeated events.
        events: number of events of each name.
        counts: number of frames of each label.
        not_drawn: number of frames beyond the largest number.
        times: time of each frame, in seconds since 1970.
        labels: place of its label in `LABELS`.
        scores: its score; NaN if undecided.
        thresholds: its threshold; NaN if undecided.
        distributions: time, and statistic over limit of each figure.
        sources: sources and digests of all starts.
        reasons: number of undecided frames by reason.
        dropped: number of frames that the source dropped.
        last: time of the last line.
    """

    lines: int = 0
    bad: int = 0
    repeated: int = 0
    not_drawn: int = 0
    events: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    times: array[float] = field(default_factory=lambda: array("d"))
    labels: array[int] = field(default_factory=lambda: array("b"))
    scores: array[float] = field(default_factory=lambda: array("d"))
    thresholds: array[float] = field(default_factory=lambda: array("d"))
    distributions: list[tuple[float, dict[str, float]]] = field(
        default_factory=list
    )
    drifts: list[DriftSpan] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    sources: Counter[tuple[str, str]] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    last: float = 0.0
    _worst: list[WorstFrame] = field(default_factory=list)
    _open: dict[str, DriftSpan] = field(default_factory=dict)

    @property
    def worst(self) -> list[WorstFrame]:
        """Anomalous frames with the highest scores, highest first."""
        return sorted(self._worst, reverse=True)

    def add(self, event: Event) -> None:
        """Add an event; raise ValueError if it is not in the form of `anomedge watch`."""
        name, time = _text(event, "event"), _time(event)
        if name in {"frame", "error"}:
            self._add_frame(name, event, time)
        elif name == "drift":
            self._add_drift(event, time)
        elif name == "distribution" and len(self.distributions) < MOST_EVENTS:
            self.distributions.append((time, _ratios(event)))
        elif name in {"waiting", "resumed"}:
            self._add_connection(name, event, time)
        elif name == "started":
            self._add_start(event, time)
        if name in self.events or len(self.events) < _MOST_REASONS:
            self.events[name] += 1
        self.last = time

    def _add_frame(self, name: str, event: Event, time: float) -> None:
        if name == "error" and event.get("label") != "undecided":
            return
        label = _text(event, "label")
        place = LABELS.index(label)
        score = threshold = math.nan
        if label != "undecided":
            score = _number(event, "score")
            threshold = _number(event, "threshold")
        else:
            self._count_reason(_text(event, "message"))
        dropped = _count(event, "dropped")
        self.counts[label] += 1
        self.dropped += dropped
        if label == "anomalous":
            self._rank(event, score, time)
        if len(self.times) >= MOST_FRAMES:
            self.not_drawn += 1
            return
        self.times.append(time)
        self.labels.append(place)
        self.scores.append(score)
        self.thresholds.append(threshold)

    def _rank(self, event: Event, score: float, time: float) -> None:
        number = _count(event, "number")
        frame = WorstFrame(score, number, time, _text(event, "name"))
        if len(self._worst) < _MOST_WORST:
            heapq.heappush(self._worst, frame)
        else:
            heapq.heappushpop(self._worst, frame)

    def _count_reason(self, reason: str) -> None:
        known = reason in self.reasons or len(self.reasons) < _MOST_REASONS
        self.reasons[reason if known else "other reasons"] += 1

    def _add_drift(self, event: Event, time: float) -> None:
        name, state = _text(event, "name"), _text(event, "state")
        if state == "begun" and len(self.drifts) < MOST_EVENTS:
            message = _text(event, "message")
            self.drifts.append(DriftSpan(name, time, None, message))
            self._open[name] = self.drifts[-1]
        elif state == "over" and name in self._open:
            self._open.pop(name).end = time

    def _add_start(self, event: Event, time: float) -> None:
        """Count a start; a station that starts compares anew, so that open drifts and gaps end."""
        if len(self.sources) < MOST_EVENTS:
            self.sources[_text(event, "source"), _text(event, "digest")] += 1
        for drift in self._open.values():
            drift.end = time
        self._open.clear()
        if self.gaps and self.gaps[-1].end is None:
            self.gaps[-1].end = time

    def _add_connection(self, name: str, event: Event, time: float) -> None:
        is_open = bool(self.gaps) and self.gaps[-1].end is None
        if name == "resumed" and is_open:
            self.gaps[-1].end = time
        elif name == "waiting" and not is_open and len(self.gaps) < MOST_EVENTS:
            self.gaps.append(Gap(time, None, _text(event, "message")))


def read_log(path: Path) -> StationLog:
    """Read a log; count the lines that are no events.

    Raises:
        InputError: the file cannot be read, or no line is an event of `anomedge watch`.
    """
    log = StationLog()
    recent = _RecentIds()
    try:
        with open_plain(path) as file:
            for line in _lines(file):
                log.lines += 1
                _add_line(log, line, recent)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror or error}); expected the lines that anomedge watch wrote"
        ) from error
    if not log.events:
        raise InputError(
            f"got {path} with {log.lines} lines, none of which is an event; expected the lines that anomedge watch wrote: "
            f"redirect its output to a file, or give it --sink NAME.jsonl"
        )
    return log


def _add_line(log: StationLog, line: bytes | None, recent: _RecentIds) -> None:
    try:
        event = _event(line)
        if recent.contains(event.get("id")):
            log.repeated += 1
        else:
            log.add(event)
    except (ValueError, OverflowError, RecursionError):
        log.bad += 1


def _lines(file: BinaryIO) -> Iterator[bytes | None]:
    """Yield the lines that are not empty; None for one that is too long."""
    while line := file.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            _skip_line(file)
            yield None
        elif line.strip():
            yield line


def _skip_line(file: BinaryIO) -> None:
    while rest := file.readline(LONGEST_LINE):
        if rest.endswith(b"\n"):
            return


def _event(line: bytes | None) -> Event:
    if line is None:
        raise ValueError("too long")
    return parse_json(_LONE_BYTE.sub(rb"\1\\\\x\2", line))


class _RecentIds:
    """Identifiers of the latest events, because a sink may receive an event again."""

    def __init__(self) -> None:
        self._order: deque[str] = deque()
        self._known: set[str] = set()

    def contains(self, identifier: object) -> bool:
        """Return whether an identifier is among the latest; add it if not."""
        if not isinstance(identifier, str):
            return False
        if identifier in self._known:
            return True
        self._order.append(identifier)
        self._known.add(identifier)
        if len(self._order) > _RECENT:
            self._known.discard(self._order.popleft())
        return False


def _text(event: Event, key: str) -> str:
    value = event.get(key, "")
    if not isinstance(value, str):
        raise ValueError(key)
    return storable(value[:_LONGEST_TEXT])


def _number(event: Event, key: str, default: float | None = None) -> float:
    value = event.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(key)
    if not math.isfinite(value):
        raise ValueError(key)
    return float(value)


def _count(event: Event, key: str) -> int:
    value = _number(event, key, 0)
    if not 0 <= value <= _LARGEST_COUNT:
        raise ValueError(key)
    return int(value)


def _time(event: Event) -> float:
    moment = datetime.fromisoformat(_text(event, "time"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    seconds = moment.timestamp()
    if not 0 <= seconds <= _LATEST:
        raise ValueError("time")
    return seconds


def _ratios(event: Event) -> dict[str, float]:
    """Return the statistic over the limit of each figure."""
    figures = event.get("figures")
    if not isinstance(figures, dict):
        raise ValueError("figures")
    found = {}
    for name in itertools.islice(figures, len(_FIGURES)):
        if name in _FIGURES and isinstance(figures[name], dict):
            limit = _number(figures[name], "limit")
            statistic = _number(figures[name], "statistic")
            found[name] = statistic / limit if limit > 0 else 0.0
    return found
