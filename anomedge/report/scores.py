"""Scores of the reference by kind of picture, and margins to the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anomedge.images import Picture
from anomedge.parity import Reference
from anomedge.threshold import Decision, scale_of_each

__all__ = ["KINDS", "Margin", "Scores", "is_generated", "kind_of", "scores_of"]

KINDS = ("normal", "anomalous", "unlabelled", "generated for the proof")
_GENERATED = KINDS[3]


@dataclass(frozen=True)
class Margin:
    """Picture nearest to the threshold; `distance` is score minus threshold."""

    name: str
    kind: str
    distance: float


@dataclass(frozen=True)
class Scores:
    """Finite scores of the reference by kind of picture.

    Attributes:
        kinds: scores by kind, one of `KINDS`; empty kinds are left out.
        threshold: the threshold in force.
        tolerance: largest error of a copy's score, in units of the score.
        below, above: nearest picture on each side of the threshold; one of the
            user's own if there are any.
        left_out: number of pictures with a score that is not finite.
    """

    kinds: dict[str, list[float]]
    threshold: float
    tolerance: float
    below: Margin | None
    above: Margin | None
    left_out: int = 0

    @property
    def counted(self) -> dict[str, list[float]]:
        """Scores for a histogram: of the user's own pictures if there are any.

        Generated pictures have scores of their own making.
        """
        own = {
            kind: values
            for kind, values in self.kinds.items()
            if kind != _GENERATED
        }
        return own or self.kinds


def is_generated(picture: Picture) -> bool:
    """Whether a picture is blended, extreme or synthetic."""
    return picture.generated is not None


def kind_of(picture: Picture) -> str:
    """Return the kind of a picture, one of `KINDS`."""
    if is_generated(picture):
        return _GENERATED
    return {True: "anomalous", False: "normal", None: "unlabelled"}[
        picture.anomalous
    ]


def scores_of(
    reference: Reference, decision: Decision, tolerance: float
) -> Scores:
    """Return the scores and margins of the reference.

    Args:
        reference: outputs and pictures.
        decision: the decision with the threshold.
        tolerance: largest error of a score, as a fraction of the scale at the
            threshold.
    """
    values = np.asarray(reference.outputs.score, dtype=np.float64)
    finite = [i for i in range(len(values)) if np.isfinite(values[i])]
    kinds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for i in finite:
        kinds[kind_of(reference.pictures[i])].append(float(values[i]))
    own = [
        i for i in finite if not is_generated(reference.pictures[i])
    ] or finite
    margins = [
        Margin(
            reference.pictures[i].name,
            kind_of(reference.pictures[i]),
            float(values[i]) - decision.threshold,
        )
        for i in own
    ]
    return Scores(
        kinds={kind: scores for kind, scores in kinds.items() if scores},
        threshold=decision.threshold,
        tolerance=tolerance
        * float(scale_of_each(decision.threshold, decision.scale)),
        below=_nearest([margin for margin in margins if margin.distance <= 0]),
        above=_nearest([margin for margin in margins if margin.distance > 0]),
        left_out=len(values) - len(finite),
    )


def _nearest(margins: Sequence[Margin]) -> Margin | None:
    return min(margins, key=lambda margin: abs(margin.distance), default=None)
