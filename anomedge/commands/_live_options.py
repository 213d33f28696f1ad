"""Options of `anomedge watch` for live sources: cameras, pipelines and standard input."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from anomedge.station import FramePolicy, SourceOptions

__all__ = ["FirstFrame", "Frames", "ReadTimeout", "Retries", "with_live"]

_LONGEST = 86400

Retries = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Live source (all but folder and video): consecutive attempts to reopen it; no limit by default.",
    ),
]

Frames = Annotated[
    FramePolicy | None,
    typer.Option(
        "--frames",
        help="Live source: while the queue is full, drop and count its oldest frame (latest), or read no further (all). "
        "Default: latest; all for standard input.",
    ),
]

ReadTimeout = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=_LONGEST,
        help="Live source: longest time between two frames, in seconds; then it is reopened. 0: no limit. Default: 5. Cameras "
        "with a trigger need more than their longest pause.",
    ),
]

FirstFrame = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=_LONGEST,
        help="Live source: longest time from opening it to its first frame, in seconds. 0: no limit. Default: 10.",
    ),
]


def with_live(
    options: SourceOptions,
    frames: FramePolicy | None,
    read_timeout: float | None,
    first_frame: float | None,
) -> SourceOptions:
    """Return the options of a source with those of live sources."""
    return replace(
        options,
        frames=frames,
        read_timeout=read_timeout,
        first_frame=first_frame,
    )
