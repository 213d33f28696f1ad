"""Thresholds of raw scores and maps from the values that anomalib stores.

anomalib 2 normalises a score s to n = clip((s - t) / (max - min) + 1/2, 0, 1) and calls a picture anomalous if
n > 1 - sensitivity. For a sensitivity in (0, 1] that is s > t + (1/2 - sensitivity)(max - min). Version 1 has no
sensitivity and calls a picture anomalous if s >= t. Pixels of a map are decided alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from anomedge.errors import InputError
from anomedge.interop.anomalib.foreign import StoredThresholds, Taken

__all__ = [
    "Cut",
    "Level",
    "levels",
    "raw_threshold",
    "tight_scale",
    "with_sensitivity",
]

_NEUTRAL = 0.5
_SHARE = 0.05
_LEAST_SCALE = float(np.finfo(np.float32).tiny)


class Cut(NamedTuple):
    """A raw threshold, and whether it is the file's."""

    value: float
    imported: bool


@dataclass(frozen=True)
class Level:
    """Stored values of the scores or of the maps; None: not set.

    Attributes:
        name: "image" for scores, "pixel" for maps.
        threshold: stored threshold.
        sensitivity: stored sensitivity; None is 1/2.
        span: maximum minus minimum.
    """

    name: str
    threshold: float | None
    sensitivity: float | None
    span: float | None

    @property
    def option(self) -> str:
        """The option of `anomedge import` that replaces the stored threshold."""
        return "--threshold" if self.name == "image" else "--pixel-threshold"

    @property
    def is_neutral(self) -> bool:
        """Whether the sensitivity leaves the threshold as it is."""
        return self.sensitivity is None or self.sensitivity == _NEUTRAL


def levels(stored: StoredThresholds) -> tuple[Level, Level]:
    """Return the levels of scores and maps."""
    image = Level(
        "image",
        stored.image_threshold,
        stored.image_sensitivity,
        _span(stored.image_min, stored.image_max, stored.image_range),
    )
    pixel = Level(
        "pixel",
        stored.pixel_threshold,
        stored.pixel_sensitivity,
        _span(stored.pixel_min, stored.pixel_max, stored.pixel_range),
    )
    return image, pixel


def _span(
    low: float | None, high: float | None, stated: float | None
) -> float | None:
    return stated if low is None or high is None else high - low


def with_sensitivity(stored: StoredThresholds) -> StoredThresholds:
    """Return the values with the threshold of scores moved by its sensitivity, where a raw threshold expresses that.

    >>> with_sensitivity(StoredThresholds(0.5, None, 0.0, 1.0, image_sensitivity=0.25)).image_threshold
    0.75
    """
    image, _ = levels(stored)
    share, span = image.sensitivity, image.span
    if image.threshold is None or share is None or span is None:
        return stored
    if not 0 < share <= 1 or span < 0:
        return stored
    moved = image.threshold + (_NEUTRAL - share) * span
    return replace(stored, image_threshold=moved, image_sensitivity=None)


def raw_threshold(
    level: Level, other: Level | None, taken: Taken
) -> float | None:
    """Return the threshold of a level in the units of raw scores; None if the file has none.

    Args:
        level: the level.
        other: level whose threshold counts where this one has none, as in anomalib; None: no level.
        taken: list that lines about the stored values are added to.

    Raises:
        InputError: a sensitivity that no raw threshold expresses, or a maximum below the minimum.
    """
    threshold = level.threshold
    if threshold is not None and math.isinf(threshold):
        kind = "normal" if threshold > 0 else "anomalous"
        raise InputError(
            f"got an {level.name} threshold in the file with which anomalib calls every picture {kind}; "
            f"expected one between its scores: give {level.option}, or --held-back with --rule balanced"
        )
    if level.span is not None and level.span < 0:
        raise InputError(
            f"got an {level.name} maximum below the minimum in the file, with which anomalib inverts its labels; "
            f"expected it above: give {level.option}"
        )
    if threshold is not None:
        taken.add(f"{level.name} threshold", f"{threshold:.9g}", "file")
    elif other is not None and other.threshold is not None:
        threshold = other.threshold
        text = f"none; the {other.name} threshold counts, as in anomalib"
        taken.add(f"{level.name} threshold", text, "file")
    if threshold is None or level.is_neutral:
        return threshold
    return _with_sensitivity(threshold, level, taken)


def _with_sensitivity(threshold: float, level: Level, taken: Taken) -> float:
    share = level.sensitivity or 0.0
    taken.add(f"{level.name} sensitivity", f"{share:g}", "file")
    if not 0 < share <= 1:
        raise InputError(
            f"got the {level.name} sensitivity {share:g} in the file, with which anomalib calls every picture anomalous, or none; "
            f"expected one in (0, 1]: give {level.option}"
        )
    if level.span is None:
        raise InputError(
            f"got the {level.name} sensitivity {share:g} in the file, without the minimum and maximum that it refers to; "
            f"expected all three: give {level.option}"
        )
    raw = threshold + (_NEUTRAL - share) * level.span
    taken.add(
        f"{level.name} threshold with its sensitivity",
        f"{raw:.9g} = threshold + (0.5 - sensitivity) x (max - min)",
        "computed",
    )
    return raw


def tight_scale(stored: StoredThresholds, threshold: float, name: str) -> float:
    """Return a scale of scores without pictures: 5 % of the threshold or of its distance to the minimum (decision 0022).

    Args:
        stored: values of the file.
        threshold: raw threshold in force, where the file has none.
        name: the file, for messages.

    Raises:
        InputError: both are 0.
    """
    stated = stored.image_threshold
    if stated is not None and math.isfinite(stated):
        threshold = stated
    low = threshold if stored.image_min is None else stored.image_min
    scale = _SHARE * max(abs(threshold), abs(threshold - low))
    if scale < _LEAST_SCALE:
        raise InputError(
            f"{name} tells no scale of its scores, as its threshold is {threshold:g}; expected normal pictures to measure "
            f"one: give --held-back"
        )
    return scale
