"""The reference's scores by what is known of each picture, and how far they keep from the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anomedge.images import Picture
from anomedge.parity import Reference
from anomedge.parity.pictures import BLENDED, EXTREME, SYNTHETIC
from anomedge.threshold import Decision, scale_of_each

__all__ = ["KINDS", "Margin", "Scores", "is_made", "kind_of", "scores_of"]

KINDS = ("normal", "anomalous", "unlabelled", "made for the proof")
_MADE = KINDS[3]


@dataclass(frozen=True)
class Margin:
    """A picture next to the threshold; `distance` is its score minus the threshold."""

    name: str
    kind: str
    distance: float


@dataclass(frozen=True)
class Scores:
    """Finite scores of the reference by kind of picture.

    Attributes:
        kinds: scores of each kind of `KINDS` that there is.
        threshold: the one in force.
        tolerance: how far a copy's score may be off, in units of the score.
        below, above: the nearest picture on each side of the threshold; of the user's own where there are any.
        left_out: pictures whose score is no finite number.
    """

    kinds: dict[str, list[float]]
    threshold: float
    tolerance: float
    below: Margin | None
    above: Margin | None
    left_out: int = 0

    @property
    def counted(self) -> dict[str, list[float]]:
        """What a histogram counts: the user's own pictures, for the made ones crowd at the threshold on purpose."""
        own = {
            kind: values for kind, values in self.kinds.items() if kind != _MADE
        }
        return own or self.kinds


def is_made(picture: Picture) -> bool:
    """True for a blended, an extreme or a synthetic frame."""
    return picture.name.startswith((BLENDED, EXTREME, SYNTHETIC))


def kind_of(picture: Picture) -> str:
    """One of `KINDS`."""
    if is_made(picture):
        return _MADE
    return {True: "anomalous", False: "normal", None: "unlabelled"}[
        picture.anomalous
    ]


def scores_of(
    reference: Reference, decision: Decision, tolerance: float
) -> Scores:
    """The reference's scores; `tolerance` is a share of what the threshold is held to."""
    values = np.asarray(reference.outputs.score, dtype=np.float64)
    finite = [i for i in range(len(values)) if np.isfinite(values[i])]
    kinds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for i in finite:
        kinds[kind_of(reference.pictures[i])].append(float(values[i]))
    own = [i for i in finite if not is_made(reference.pictures[i])] or finite
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
