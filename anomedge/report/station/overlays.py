"""Find the overlays that `anomedge watch --save` wrote of the worst frames."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from anomedge.errors import InputError
from anomedge.images import read_picture, stretch
from anomedge.report.pictures import Panel, small_size
from anomedge.report.station.log import WorstFrame

__all__ = ["overlays_of"]

_NAME = re.compile(
    r"(?:\d{8,}-)?(\d{8}T\d{6}\.\d{6})Z-(\d{8,12})-([A-Za-z0-9._-]*)\.overlay\.png"
)
_MOST_FILES = 200_000
_LARGEST_DIFFERENCE = 1.0
"""Largest difference of the times in name and line, in seconds; the line has milliseconds."""


def overlays_of(
    folder: Path, frames: Sequence[WorstFrame]
) -> dict[WorstFrame, Panel]:
    """Return the overlays of frames, as far as the folder holds them and they can be read.

    Raises:
        InputError: the folder cannot be listed.
    """
    wanted: dict[tuple[int, str], list[WorstFrame]] = {}
    for frame in frames:
        wanted.setdefault((frame.number, _plain(frame.name)), []).append(frame)
    try:
        paths = list(itertools.islice(folder.iterdir(), _MOST_FILES))
    except OSError as error:
        raise InputError(
            f"got {folder}, which cannot be listed ({error.strerror or error}); expected the folder of watch --save"
        ) from error
    found: dict[WorstFrame, Panel] = {}
    for path in paths:
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        for frame in wanted.get((int(match[2]), match[3]), []):
            if abs(_moment(match[1]) - frame.time) <= _LARGEST_DIFFERENCE:
                _read(path, frame, found)
    return found


def _read(
    path: Path, frame: WorstFrame, found: dict[WorstFrame, Panel]
) -> None:
    try:
        pixels = read_picture(path)
    except InputError:
        return  # the page then has the name alone
    small = stretch(pixels, small_size(pixels.shape[:2]))
    found[frame] = Panel(small, "overlay", f"Overlay of {frame.name}")


def _plain(name: str) -> str:
    """Return a name as the file of an overlay has it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)[-80:]


def _moment(text: str) -> float:
    try:
        moment = datetime.strptime(text, "%Y%m%dT%H%M%S.%f")
    except ValueError:
        return float("-inf")
    return moment.replace(tzinfo=timezone.utc).timestamp()
