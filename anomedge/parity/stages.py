"""How far each stage is off, in which picture and where; and, through the tapped graph, the errors as they arrive."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomedge.bundle import Bundle
from anomedge.errors import BundleError
from anomedge.parity.certificate import Check, Tolerance
from anomedge.parity.compare import FRAMES
from anomedge.parity.plan import Reference
from anomedge.runtimes import Session
from anomedge.threshold import Decision, scale_of_each

__all__ = [
    "OUTPUTS",
    "Off",
    "copies_of",
    "errors_as_they_arrive",
    "errors_between",
    "off_by",
    "scale_at",
    "scales_of",
    "stage_checks",
]

Scale = float | npt.NDArray[np.float64]

OUTPUTS = ("anomaly_map", "score")
_PIXELS = ("preprocessed", "rounded")
_AXES = ("channel", "y", "x")


class Off(NamedTuple):
    """How far off something is at its worst, with the picture's name and the place in its array."""

    error: float
    picture: str = ""
    where: str = ""


def stage_checks(
    bundle: Bundle, session: Session, reference: Reference, tolerance: Tolerance
) -> list[Check]:
    """Each stage of the tapped graph against the original's, the worst of the pictures whose stages are known.

    Raises:
        BundleError: a stage is missing, or of another shape than the original's.
    """
    checks = []
    for name, off in errors_as_they_arrive(bundle, session, reference).items():
        allowed = tolerance.at(name)
        checks.append(
            Check(
                runtime=session.name,
                kind="pixels" if name in _PIXELS else "stage",
                name=name,
                error=off.error,
                tolerance=allowed,
                detail=f"off by {off.error:.2e} in {off.picture}{off.where and f' at {off.where}'}; allowed {allowed:.0e}",
                passed=off.error <= allowed,
            )
        )
    return checks


def errors_as_they_arrive(
    bundle: Bundle,
    session: Session,
    reference: Reference,
    names: Collection[str] | None = None,
) -> dict[str, Off]:
    """Of the named stages, or all that are known: made there or handed on, from frames to the stage."""
    copies, scales = (
        copies_of(bundle),
        scales_of(reference.exported_decision(bundle), reference),
    )
    worst: dict[str, Off] = {}
    for place, expected in reference.stages.items():
        picture = reference.pictures[place]
        pixels = picture.frame(bundle.manifest.input.frame)
        got = session.run({FRAMES: np.repeat(pixels[None], copies, axis=0)})
        for name, wanted in expected.items():
            if names is None or name in names:
                produced = got.get(
                    "preprocessed" if name == "rounded" else name, np.empty(0)
                )[:1]
                if produced.shape != wanted.shape:
                    raise BundleError(
                        f"{bundle.path}: stage {name} is {produced.shape}, {wanted.shape} in the golden frames: "
                        f"export again"
                    )
                off = off_by(
                    wanted,
                    produced,
                    scale_at(name, wanted, scales),
                    picture.name,
                )
                worst[name] = max(worst.get(name, off), off, key=_error)
    return worst


def errors_between(
    original: Reference, copy: Reference, decision: Decision
) -> dict[str, Off]:
    """Return the largest error of each stage over the pictures for which both references hold that stage."""
    scales = scales_of(decision, original)
    worst: dict[str, Off] = {}
    for place in original.stages.keys() & copy.stages.keys():
        for name in original.stages[place].keys() & copy.stages[place].keys():
            wanted, produced = (
                original.stages[place][name],
                copy.stages[place][name],
            )
            off = Off(float("inf"), original.pictures[place].name)
            if produced.shape == wanted.shape:
                off = off_by(
                    wanted,
                    produced,
                    scale_at(name, wanted, scales),
                    original.pictures[place].name,
                )
            worst[name] = max(worst.get(name, off), off, key=_error)
    return worst


def copies_of(bundle: Bundle) -> int:
    """How many times a picture is given at once: a graph of a fixed batch takes no less."""
    batch = bundle.manifest.input.batch
    return 1 if batch == "dynamic" else int(batch)


def scales_of(decision: Decision, reference: Reference) -> dict[str, float]:
    """What an error at each stage is a share of, one figure for all pictures.

    The [0, 1] range for pixels, the fixed scale for map and score (more where they are far above it: `scale_at`), else
    from the stage's least to its largest value over all pictures whose stages are known: a share of one picture's own would
    let through in a bright one what fails in a dark one.
    """
    fixed = dict.fromkeys(_PIXELS, 1.0) | dict.fromkeys(OUTPUTS, decision.scale)
    return {
        name: fixed.get(name) or _spread(name, reference)
        for stages in reference.stages.values()
        for name in stages
    }


def scale_at(
    name: str, wanted: npt.ArrayLike, scales: Mapping[str, float]
) -> Scale:
    """The stage's figure of `scales_of`; of map and score, what each value is held to."""
    return (
        scale_of_each(wanted, scales[name]) if name in OUTPUTS else scales[name]
    )


def off_by(
    wanted: npt.ArrayLike, produced: npt.ArrayLike, scale: Scale, picture: str
) -> Off:
    """The largest difference of two arrays (1, ...), a share of the scale.

    Where both are the same, NaN and infinities included, they do not differ; any other number that is not finite is
    infinitely far off, and so is an array without numbers: nothing compared is nothing proven.

    >>> off_by([[1.0, 2.0]], [[1.0, float("nan")]], 1.0, "a.png")
    Off(error=inf, picture='a.png', where='1')
    """
    a, b = (
        np.asarray(wanted, dtype=np.float64),
        np.asarray(produced, dtype=np.float64),
    )
    with np.errstate(invalid="ignore"):
        apart = np.abs(a - b) / scale
    if not apart.size:
        return Off(float("inf"), picture)
    apart[np.isnan(apart)] = np.inf
    apart[(a == b) | (np.isnan(a) & np.isnan(b))] = 0.0
    place = np.unravel_index(int(apart.argmax()), apart.shape)
    return Off(
        float(apart[place]), picture, _where([int(n) for n in place[1:]])
    )


def _where(place: list[int]) -> str:
    """Words for a place within one picture's array.

    >>> _where([2, 10, 11]), _where([])
    ('channel 2, y 10, x 11', '')
    """
    if len(place) == len(_AXES):
        return ", ".join(
            f"{axis} {n}" for axis, n in zip(_AXES, place, strict=True)
        )
    return ", ".join(map(str, place))


def _spread(name: str, reference: Reference) -> float:
    values = [
        np.asarray(stages[name], dtype=np.float64)
        for stages in reference.stages.values()
        if name in stages and stages[name].size
    ]
    if not values:
        return 1.0
    spread = max(float(x.max()) for x in values) - min(
        float(x.min()) for x in values
    )
    return max(spread, 1e-12) if np.isfinite(spread) else 1.0


def _error(off: Off) -> float:
    return off.error
