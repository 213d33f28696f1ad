"""Accumulated deviation of each stage, from frames through the tapped graph."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt

from anomedge.errors import BundleError
from anomedge.parity.comparison import Comparison
from anomedge.parity.deviations import Deviation, larger
from anomedge.parity.expected import kind_of_row
from anomedge.parity.outputs import FRAMES
from anomedge.parity.records import CheckResult
from anomedge.parity.reference import Reference
from anomedge.progress import track
from anomedge.runtimes import Session, Tensors

__all__ = [
    "accumulated_deviations",
    "check_stages",
    "deviations_of_stored_stages",
    "grouped_by_kind",
    "kind_of",
]


def check_stages(session: Session, comparison: Comparison) -> list[CheckResult]:
    """Check each stage of the tapped graph against the original's.

    Raises:
        BundleError: a stage is missing or its shape differs.
    """
    checks = []
    deviations = accumulated_deviations(session, comparison)
    for name, deviation in deviations.items():
        allowed = comparison.tolerance.at(name)
        where = f" at {deviation.where}" if deviation.where else ""
        checks.append(
            CheckResult(
                runtime=session.name,
                kind=kind_of_row(name),
                name=name,
                error=deviation.error,
                tolerance=allowed,
                detail=f"off by {deviation.error:.2e} in {deviation.picture}"
                f"{where}; allowed {allowed:.0e}",
                passed=deviation.error <= allowed,
            )
        )
    return checks


def accumulated_deviations(
    session: Session,
    comparison: Comparison,
    names: Collection[str] | None = None,
) -> dict[str, Deviation]:
    """Return the largest accumulated error of each stage over all pictures.

    It is the stage's own error plus the error inherited from earlier stages.

    Args:
        session: a session of the shipped or of the tapped graph.
        comparison: the comparison with the original.
        names: stages to compare; all that the reference has if None.

    Raises:
        BundleError: a stage is missing or its shape differs.
    """
    worst: dict[str, Deviation] = {}
    staged = comparison.reference.stages
    for place, expected in track(
        staged.items(), f"{session.name}, stages", total=len(staged)
    ):
        outputs = _run(session, comparison, place)
        for name, array in expected.items():
            if names is None or name in names:
                actual = _stage(session, outputs, name, array.shape)
                deviation = comparison.stage_deviation(place, name, actual)
                worst[name] = larger(worst.get(name), deviation)
    return worst


def deviations_of_stored_stages(
    comparison: Comparison, stored: Reference
) -> dict[str, Deviation]:
    """Return the largest error of each stage that both references hold."""
    worst: dict[str, Deviation] = {}
    reference = comparison.reference
    for place in reference.stages.keys() & stored.stages.keys():
        expected, actual = reference.stages[place], stored.stages[place]
        for name in expected.keys() & actual.keys():
            deviation = Deviation(float("inf"), reference.pictures[place].name)
            if actual[name].shape == expected[name].shape:
                deviation = comparison.stage_deviation(
                    place, name, actual[name]
                )
            worst[name] = larger(worst.get(name), deviation)
    return worst


def grouped_by_kind(names: Sequence[str]) -> list[list[str]]:
    """Group neighbouring stages of one kind.

    >>> grouped_by_kind(["preprocessed", "features/a", "features/b", "score"])
    [['preprocessed'], ['features/a', 'features/b'], ['score']]
    """
    return [list(group) for _, group in groupby(names, kind_of)]


def kind_of(name: str) -> str:
    """Return the kind of a stage, without its layer.

    >>> kind_of("features/blocks.3")
    'features'
    """
    return name.partition("/")[0]


def _run(session: Session, comparison: Comparison, place: int) -> Tensors:
    """Run copies of one picture, as many as the smallest batch."""
    pixels = comparison.reference.pictures[place].frame(comparison.frame)
    frames = np.repeat(pixels[None], comparison.smallest_batch, axis=0)
    return session.run({FRAMES: frames})


def _stage(
    session: Session,
    outputs: Mapping[str, npt.NDArray[np.floating]],
    name: str,
    shape: tuple[int, ...],
) -> npt.NDArray[np.floating]:
    """Return the array (1, ...) of a stage after checking its shape."""
    output = "preprocessed" if name == "rounded" else name
    array = outputs.get(output, np.empty(0))[:1]
    if array.shape != shape:
        raise BundleError(
            f"{session.path}: stage {name} is {array.shape}, {shape} in the "
            f"golden frames: export again"
        )
    return array
