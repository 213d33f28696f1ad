"""Compare a client's scores with the expected ones, and find the mistake that explains them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomedge.conformance.finding import Finding
from anomedge.conformance.frames import Case
from anomedge.conformance.mistakes import mistakes
from anomedge.inspector import Inspector
from anomedge.threshold import Decision, scale_of_each

__all__ = ["Allowed", "diagnosed", "map_finding", "worst"]

Scores = npt.NDArray[np.float64]

_REDUCED = 0.3
"""Largest error of a reduced precision, as a fraction of the scale: bfloat16 deviates by 1 to 9 %."""
_NEARER = 0.05
"""A mistake explains scores if its error is below this share of the error of the right scores."""


class Allowed(NamedTuple):
    """Tolerances of score and map, as fractions of the scale."""

    score: float
    map: float


def worst(
    found: Scores, expected: Scores, decision: Decision
) -> tuple[int, float]:
    """Return the place of the largest error and that error as a fraction of the scale."""
    errors = np.abs(found - expected) / scale_of_each(expected, decision.scale)
    place = int(errors.argmax())
    return place, float(errors[place])


def diagnosed(
    found: Scores, cases: Sequence[Case], inspector: Inspector, allowed: float
) -> Finding | None:
    """Return the departure of a client's scores of several frames; None if all are within the tolerance."""
    decision = inspector.bundle.manifest.decision
    expected = np.array([case.score for case in cases])
    place, error = worst(found, expected, decision)
    if error <= allowed:
        return None
    got = (
        f"got {found[place]:.7g} for {cases[place].name}; expected {expected[place]:.7g} "
        f"({error:.1e} of the scale, allowed {allowed:.0e})"
    )
    shown = inspector.decision.normalised(expected)
    if np.abs(found - shown).max() <= 10 * allowed:
        return Finding(
            "score",
            f"gives the normalised score in place of the raw one: {got}",
        )
    best = _best_mistake(found, cases, inspector)
    if best is not None and best[1] <= max(allowed, _NEARER * error):
        return Finding(best[0].stage, f"{best[0].text}: {got}")
    if error <= _REDUCED:
        return Finding(
            "precision",
            f"small errors, as of bfloat16 or float16 in place of float32: {got}",
        )
    return Finding("score", f"no known mistake gives these scores: {got}")


def _best_mistake(
    found: Scores, cases: Sequence[Case], inspector: Inspector
) -> tuple[Finding, float] | None:
    """Return the mistake with the smallest largest error, and that error."""
    manifest = inspector.bundle.manifest
    best: tuple[Finding, float] | None = None
    for mistake in mistakes(manifest.image.size):
        frames = [mistake.apply(case.frame) for case in cases]
        results = [inspector.predict_batch([frame])[0] for frame in frames]
        scores = np.array([result.score for result in results])
        _, error = worst(found, scores, manifest.decision)
        if best is None or error < best[1]:
            best = Finding(mistake.stage, mistake.text), error
    return best


def map_finding(
    found: npt.NDArray[np.float32] | None,
    case: Case,
    decision: Decision,
    allowed: float,
) -> Finding | None:
    """Return the departure of a client's map; None if it is within the tolerance or not written."""
    expected = case.anomaly_map
    if found is None or expected is None:
        return None
    if not np.isfinite(found).all():
        return Finding(
            "map", f"a value that is not finite in the map of {case.name}"
        )
    scale = scale_of_each(expected, decision.scale)
    error = float((np.abs(found - expected) / scale).max())
    if error <= allowed:
        return None
    return Finding(
        "map",
        f"the map of {case.name} deviates by {error:.1e} of the scale; allowed {allowed:.0e}",
    )
