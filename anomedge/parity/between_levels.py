"""Inputs of a layout between whole grey levels, as a tool that resizes in floats feeds them.

A layout's graph that takes floats rounds them to whole levels (`Layout.rounds`). So an input next to a picture's levels
must give the picture's outputs, which the original computed, and a resized picture those of its rounded pixels.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from anomedge.layouts import Layout
from anomedge.parity.comparison import Comparison
from anomedge.parity.composition import by_score, generator_of
from anomedge.parity.expected import allowed_of, between_levels
from anomedge.parity.layout_meter import LayoutMeter, check_of
from anomedge.parity.pictures import EXTREME
from anomedge.parity.records import CheckResult
from anomedge.parity.tolerances import Tolerance
from anomedge.progress import track
from anomedge.runtimes import Session

__all__ = ["check_between_levels"]

_Levels = npt.NDArray[np.float64]
_Way = Callable[[_Levels, np.random.Generator], _Levels]

_FLOAT_STEP = float(np.finfo(np.float32).eps)
_MOST = 0.49
"""Largest distance from a level; float32 rounds both alike."""
_OVERSHOOT = 5.0
"""Levels below 0 and above 255, as a cubic resize gives them."""


def check_between_levels(
    session: Session,
    layout: type[Layout],
    comparison: Comparison,
    meters: Sequence[LayoutMeter],
    seed: int,
) -> CheckResult:
    """Run every picture between its levels, in one of several ways, and that of the highest score in all of them.

    Args:
        session: of the layout's graph.
        layout: the layout. One whose input holds whole levels alone has nothing between them, and the check no row.
        comparison: the reference, and the limits of its errors.
        meters: one of every output, unused.
        seed: of the noise, and of the way of each picture.
    """
    name = between_levels(layout)
    if not layout.rounds:
        return check_of(session.name, name, "")
    generator = generator_of(seed, f"{name} {session.name}")
    runs = list(_runs(comparison, generator))
    wrong: list[str] = []
    for places, way in track(runs, f"{session.name}, {name}", total=len(runs)):
        levels = _levels(comparison, places)
        moved = way(levels, generator)
        _measure(session, layout, comparison, meters, places, moved)
        if way is _uniform:
            resized = _resized(levels, generator)
            wrong += _differing(
                session, layout, meters, resized, comparison.tolerance
            )
    checks = [m.check(session.name, layout.name, comparison.tolerance) for m in meters]  # fmt: skip
    failed = [f"{c.name} {c.detail}" for c in checks if not c.passed]
    return check_of(session.name, name, "; ".join([*failed, *wrong][:3]))


def _signs(levels: _Levels, generator: np.random.Generator) -> _Levels:
    return generator.choice([-1.0, 1.0], levels.shape)


def _next(levels: _Levels, generator: np.random.Generator) -> _Levels:
    """Move every value to a float next to it, of 0 to both sides."""
    steps = np.where(levels > 0, levels, 1.0) * _FLOAT_STEP
    return np.asarray(levels + steps * _signs(levels, generator))


def _off(levels: _Levels, generator: np.random.Generator) -> _Levels:
    """Move every value by 0.4 of a level."""
    return np.asarray(levels + 0.4 * _signs(levels, generator))


def _uniform(levels: _Levels, generator: np.random.Generator) -> _Levels:
    """Move every value by up to half a level, as resized pictures lie between levels."""
    most = generator.uniform(0.05, _MOST)
    return np.asarray(levels + generator.uniform(-most, most, levels.shape))


def _beyond(levels: _Levels, generator: np.random.Generator) -> _Levels:
    """Move black and white beyond the range, and the rest as above."""
    beyond = generator.uniform(0.0, _OVERSHOOT, levels.shape)
    moved = np.where(levels == 0, -beyond, _uniform(levels, generator))
    return np.asarray(np.where(levels == 255, 255 + beyond, moved))


_WAYS: tuple[_Way, ...] = (_next, _off, _uniform, _beyond)


def _runs(
    comparison: Comparison, generator: np.random.Generator
) -> Iterator[tuple[list[int], _Way]]:
    """Yield the places of each run and its way: the highest score in every way, then all pictures in another order.

    Extreme frames hold black and white, so they go beyond.
    """
    batch, reference = comparison.smallest_batch, comparison.reference
    pictures = reference.pictures
    highest = by_score(pictures, reference.outputs.score)[-1]
    for way in _WAYS:
        yield [highest] * batch, way
    ways = itertools.cycle(_WAYS)
    for place in generator.permutation(len(pictures)).tolist():
        extreme = pictures[place].generated == EXTREME
        yield [place] * batch, _beyond if extreme else next(ways)


def _levels(comparison: Comparison, places: Sequence[int]) -> _Levels:
    """Return the grey levels (B, H, W, 3) of pictures."""
    pictures = comparison.reference.pictures
    frames = [pictures[i].frame(comparison.input.frame) for i in places]
    return np.stack(frames).astype(np.float64)


def _measure(
    session: Session,
    layout: type[Layout],
    comparison: Comparison,
    meters: Sequence[LayoutMeter],
    places: Sequence[int],
    levels: _Levels,
) -> None:
    """Compare the outputs between the levels of pictures with the original's for these pictures."""
    outputs = session.run(layout.feed(levels))
    expected = comparison.reference.outputs.at(places)
    names = [comparison.reference.names[place] for place in places]
    for meter in meters:
        values = outputs[meter.name]
        meter.add(values, expected, names, comparison.tolerance)


def _differing(
    session: Session,
    layout: type[Layout],
    meters: Sequence[LayoutMeter],
    levels: _Levels,
    tolerance: Tolerance,
) -> Iterator[str]:
    """Yield a phrase per output that is not that of the rounded levels; the same graph computes both."""
    found = session.run(layout.feed(levels))
    rounded = np.rint(levels).clip(0, 255).astype(np.uint8)
    expected = session.run(layout.feed(rounded))
    for meter in meters:
        one, other = found[meter.name], expected[meter.name]
        allowed = allowed_of(meter.output, meter.decision, tolerance) or 0.0
        near = np.isclose(one, other, rtol=allowed, atol=allowed)
        if not near.all():
            yield f"{meter.name} of a resized picture is not that of its whole grey levels"


def _resized(levels: _Levels, generator: np.random.Generator) -> _Levels:
    """Shift pictures by a part of a pixel, interpolated in floats; keep off the middle between two levels."""
    share = generator.uniform(0.2, 0.8)
    shifted = (1 - share) * levels + share * np.roll(levels, 1, axis=2)
    whole = np.rint(shifted)
    return np.asarray(whole + (shifted - whole).clip(-_MOST, _MOST))
