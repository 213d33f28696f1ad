"""Render the report on a station as one HTML file without network access, scripts or fonts.

All texts of the log are untrusted; the template escapes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from anomedge import __version__
from anomedge.errors import InputError
from anomedge.files import atomic_file, check_target
from anomedge.names import storable
from anomedge.report.rendering import (
    check_installed,
    environment,
    svg_uri,
)
from anomedge.report.station.figures import draw_drift, draw_frames
from anomedge.report.station.log import LABELS, StationLog, read_log
from anomedge.report.station.overlays import overlays_of
from anomedge.report.station.timeline import timeline_of

__all__ = ["MOST_PICTURES", "StationRequest", "write_station_report"]

MOST_PICTURES = 24
_TEMPLATE = "station.html.j2"
_SHOWN = 50
"""Largest number of rows of a table."""


@dataclass(frozen=True)
class StationRequest:
    """Options of a report on a station.

    Args:
        log: file with the lines of `anomedge watch`.
        overlays: folder of `watch --save`; None shows names alone.
        pictures: number of worst pictures, 0 to 24.
        command: command line that writes this report, for its last line.
        now: date and time of the report; the current time if None.
    """

    log: Path
    overlays: Path | None = None
    pictures: int = 6
    command: str = ""
    now: datetime | None = None


def write_station_report(
    request: StationRequest, target: Path, *, force: bool = False
) -> StationLog:
    """Read a log, write the page and return the content of the log.

    Raises:
        OutputError: the target exists or cannot be written.
        InputError: the log or the folder of overlays cannot be read, or the number of pictures is out of range.
        RuntimeMissing: matplotlib or Jinja2 is not installed.
    """
    if not 0 <= request.pictures <= MOST_PICTURES:
        raise InputError(
            f"got {request.pictures} pictures; expected 0 to {MOST_PICTURES}"
        )
    check_target(target, force=force)
    check_installed()
    log = read_log(request.log)
    page = _rendered(log, request)
    with atomic_file(target, force=force) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")
    return log


def _rendered(log: StationLog, request: StationRequest) -> str:
    worst = log.worst[: request.pictures]
    overlays = overlays_of(request.overlays, worst) if request.overlays else {}
    timeline = timeline_of(log) if log.times else None
    frames = drift = None
    if timeline is not None:
        frames = svg_uri(draw_frames(timeline, log))
    if timeline is not None and timeline.start is not None:
        drift = svg_uri(draw_drift(timeline, log))
    page: str = environment().get_template(_TEMPLATE).render(
        log=log,
        labels=LABELS,
        worst=worst,
        overlays=overlays,
        frames=frames,
        drift=drift,
        followed=bool(log.distributions or log.drifts),
        span=_span(log),
        shown=_SHOWN,
        moment=_moment,
        duration=_duration,
        name=storable(request.log.name),
        made=(request.now or datetime.now().astimezone()).strftime("%Y-%m-%d %H:%M %z").strip(),
        command=request.command,
        version=__version__,
    )  # fmt: skip
    return page


def _span(log: StationLog) -> float:
    """Return the time from the first frame to the last line, in seconds."""
    if not log.times:
        return 0.0
    return max(0.0, max(log.last, log.times[-1]) - log.times[0])


def _moment(time: float) -> str:
    """Return a time in UTC."""
    moment = datetime.fromtimestamp(time, timezone.utc)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _duration(begin: float, end: float | None) -> str:
    """Return a duration in words.

    >>> _duration(0.0, 90.0), _duration(0.0, None)
    ('1.5 min', 'not over')
    """
    if end is None:
        return "not over"
    seconds = end - begin
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if abs(seconds) >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
