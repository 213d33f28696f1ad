"""Largest difference of two arrays, with its picture and position; scales of stages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomedge.runtimes import Tensors
from anomedge.threshold import Decision, scale_of_each

__all__ = [
    "FINAL_STAGES",
    "PIXEL_STAGES",
    "Deviation",
    "deviation_between",
    "larger",
    "scale_at",
    "stage_scales",
]

Scale = float | npt.NDArray[np.float64]

FINAL_STAGES = ("anomaly_map", "score")
"""Stages that are outputs of the detector."""

PIXEL_STAGES = ("preprocessed", "rounded")
"""Stages whose values are pixels in [0, 1]."""

_AXES = ("channel", "y", "x")
_SMALLEST_SCALE = 1e-12


class Deviation(NamedTuple):
    """Largest difference, the picture's name and the position in its array."""

    error: float
    picture: str = ""
    where: str = ""


def larger(one: Deviation | None, other: Deviation) -> Deviation:
    """Return the deviation with the larger error; the first if equal."""
    return other if one is None or other.error > one.error else one


def deviation_between(
    expected: npt.ArrayLike,
    actual: npt.ArrayLike,
    scale: Scale,
    picture: str,
) -> Deviation:
    """Return the largest difference of two arrays (1, ...).

    Equal values, NaN and infinities included, do not differ. Any other value
    that is not finite is an infinite error. Empty arrays are an infinite error
    as well, because an empty comparison must not pass.

    >>> deviation_between([[1.0, 2.0]], [[1.0, float("nan")]], 1.0, "a.png")
    Deviation(error=inf, picture='a.png', where='1')

    Args:
        expected: values of the original.
        actual: values of the copy.
        scale: divisor of the difference, one number or one per value.
        picture: name of the picture.
    """
    a = np.asarray(expected, dtype=np.float64)
    b = np.asarray(actual, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        errors = np.abs(a - b) / scale
    if not errors.size:
        return Deviation(float("inf"), picture)
    errors[np.isnan(errors)] = np.inf
    errors[(a == b) | (np.isnan(a) & np.isnan(b))] = 0.0
    position = np.unravel_index(int(errors.argmax()), errors.shape)
    within_picture = [int(index) for index in position[1:]]
    return Deviation(
        float(errors[position]), picture, _position_text(within_picture)
    )


def _position_text(position: list[int]) -> str:
    """Format a position within one picture's array.

    >>> _position_text([2, 10, 11]), _position_text([])
    ('channel 2, y 10, x 11', '')
    """
    if len(position) != len(_AXES):
        return ", ".join(map(str, position))
    named = zip(_AXES, position, strict=True)
    return ", ".join(f"{axis} {index}" for axis, index in named)


def stage_scales(
    decision: Decision, stages: Iterable[Tensors]
) -> dict[str, float]:
    """Return the scale of errors at each stage, one number for all pictures.

    Pixels: 1, the range [0, 1]. Map and score: the decision's fixed scale
    (`scale_at` enlarges it for values far above it). Other stages: the spread
    of the stage over all pictures; a spread per picture would accept an error
    in a bright picture that is refused in a dark one.

    Args:
        decision: the decision with the scale of the scores.
        stages: the original's stage arrays of each picture.
    """
    arrays: dict[str, list[npt.NDArray[np.floating]]] = {}
    for tensors in stages:
        for name, array in tensors.items():
            arrays.setdefault(name, []).append(array)
    fixed = dict.fromkeys(PIXEL_STAGES, 1.0)
    fixed |= dict.fromkeys(FINAL_STAGES, decision.scale)
    return {
        name: fixed.get(name) or _spread(values)
        for name, values in arrays.items()
    }


def scale_at(
    name: str, expected: npt.ArrayLike, scales: dict[str, float]
) -> Scale:
    """Return the scale of a stage; for map and score, one per value."""
    if name in FINAL_STAGES:
        return scale_of_each(expected, scales[name])
    return scales[name]


def _spread(arrays: list[npt.NDArray[np.floating]]) -> float:
    """Return the largest minus the smallest value; 1 if it is not finite."""
    filled = [array for array in arrays if array.size]
    if not filled:
        return 1.0
    largest = max(float(array.max()) for array in filled)
    smallest = min(float(array.min()) for array in filled)
    spread = largest - smallest
    return max(spread, _SMALLEST_SCALE) if np.isfinite(spread) else 1.0
