"""Options of `anomedge watch` for drift and collected frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anomedge.station.drift.levels import LEAST_WINDOW, MOST_WINDOW

__all__ = ["Collect", "CollectTo", "DriftWindow", "NoDrift"]

Option = typer.Option

DriftWindow = Annotated[
    int,
    Option(
        min=LEAST_WINDOW,
        max=MOST_WINDOW,
        help="Length of the drift window: this number of latest frames is compared with normal pictures by scores, alarms, "
        "brightness, contrast and sharpness.",
    ),
]
NoDrift = Annotated[bool, Option("--no-drift", help="Follow no drift.")]
Collect = Annotated[
    int | None,
    Option(
        min=2,
        max=100_000,
        help="Number of normal frames to keep, drawn at random, for anomedge threshold --normal; with --collect-to.",
    ),
]
CollectTo = Annotated[
    Path | None, Option(help="Folder for the frames of --collect.")
]
