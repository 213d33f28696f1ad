"""Thresholds of an imported model, as planned by `anomedge.interop.planning`, with their origin."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from anomedge.errors import InputError
from anomedge.files import sha256_of_bytes
from anomedge.images.distributions import distributions_of_pictures
from anomedge.interop.anomalib.foreign import Taken
from anomedge.interop.raw_thresholds import Cut
from anomedge.pipelines.crossfit import ScoredSample
from anomedge.pipelines.decision import Rule, ThresholdSample, place_threshold
from anomedge.pipelines.sensitivity import sensitivity
from anomedge.threshold import (
    Decision,
    Origin,
    Sensitivity,
    scale_of_each,
    spread,
)
from anomedge.threshold_rules.outliers import far_above, without_outliers

__all__ = [
    "SHIFT",
    "ByRule",
    "HeldBack",
    "Provenance",
    "Stated",
    "UnsuitableThresholdWarning",
    "no_threshold",
]

SHIFT = 2e-4
"""Distance of an imported threshold from the stored one, as a fraction of the scale.

anomalib's adaptive threshold is the score of a validation picture. At twice the tolerance of scores from it, no error
within tolerance flips the label of that picture.
"""

_MOST_NAMED = 64

_MOST_ALARMS = 0.1
"""Share of held-back pictures above a threshold that is accepted without a warning."""

_LEAST_CAUGHT = 0.8
"""Share of synthetic defects above a threshold below which a warning is given."""


class UnsuitableThresholdWarning(UserWarning):
    """The threshold of the file calls many held-back pictures anomalous, or misses many synthetic defects."""


@dataclass(frozen=True)
class Provenance:
    """File that thresholds are imported from.

    Attributes:
        name: file and library, for people, such as "padim.ckpt (anomalib 2.7)".
        inclusive: whether its library calls a score equal to the threshold anomalous.
    """

    name: str
    inclusive: bool = False


@dataclass(frozen=True)
class HeldBack:
    """Held-back normal pictures, and their scores."""

    sample: ThresholdSample
    scored: ScoredSample


@dataclass(frozen=True)
class ByRule:
    """Thresholds that a rule places on held-back pictures.

    Attributes:
        provenance: the file.
        rule: the rule.
        pixels: threshold of maps in place of the rule's.
    """

    provenance: Provenance
    rule: Rule
    pixels: float | None

    def decision(
        self, held_back: HeldBack | None, taken: Taken, *, has_map: bool
    ) -> Decision:
        """Place the thresholds as a fit does; note their sources.

        Args:
            held_back: pictures and scores.
            taken: list that lines are added to.
            has_map: whether the detector gives a map.

        Raises:
            InputError: no pictures, or scores that are not finite or all 0.
        """
        if held_back is None:
            raise InputError(no_threshold(self.provenance))
        placed = place_threshold(held_back.scored, held_back.sample, self.rule)
        origin = placed.origin.model_copy(
            update={"imported_from": self.provenance.name}
        )
        update: dict[str, Any] = {"origin": origin}
        if has_map and self.pixels is not None:
            update["pixel_threshold"] = self.pixels
        decision = placed.model_copy(update=update)
        by = f"{origin.rule_in_words} on {origin.sample_in_words}"
        taken.add(
            "threshold of scores", f"{decision.threshold:.6g}, {by}", "computed"
        )
        if has_map:
            taken.add(
                "threshold of maps",
                f"{decision.threshold_of_map:.6g}",
                "computed" if self.pixels is None else "option",
            )
        text = f"{decision.scale:.6g}, {origin.scale_in_words}"
        taken.add("scale", text, "computed")
        return decision


@dataclass(frozen=True)
class Stated:
    """Thresholds that the file or the user states.

    Attributes:
        provenance: the file.
        image: threshold of scores.
        pixel: threshold of maps.
        extremes: scores shown as 0 and 1; None: not stored.
        scale: scale without pictures; None: the spread of the held-back pictures' scores.
        lines: where the values come from.
    """

    provenance: Provenance
    image: Cut
    pixel: Cut
    extremes: tuple[float, float] | None
    scale: float | None
    lines: Taken

    def decision(
        self, held_back: HeldBack | None, taken: Taken, *, has_map: bool
    ) -> Decision:
        """Return the thresholds in force; note their sources.

        Args:
            held_back: pictures and scores; required if there is no scale without them.
            taken: list that lines are added to.
            has_map: whether the detector gives a map.

        Raises:
            InputError: scores that are not finite.
        """
        taken.lines.extend(self.lines)
        scale = self._scale(held_back, taken)
        threshold = self._in_force(self.image, scale, "scores", taken)
        pixels = None
        if has_map:
            pixels = self._in_force(self.pixel, scale, "maps", taken)
        low, high = self._extremes(threshold, scale, held_back, taken)
        return Decision(
            threshold=threshold,
            pixel_threshold=pixels,
            minimum=low,
            maximum=high,
            scale=scale,
            origin=self._origin(threshold, held_back, taken),
        )

    def _scale(self, held_back: HeldBack | None, taken: Taken) -> float:
        if held_back is not None:
            normal = held_back.scored.normal.scores
            scale = spread(without_outliers(normal))
            text = f"the spread of {normal.size} held-back scores"
        elif self.scale is not None:
            scale = self.scale
            text = "a rule that keeps tolerances tight; --held-back measures it"
        else:
            raise InputError(no_threshold(self.provenance))
        taken.add("scale", f"{scale:.6g}, {text}", "computed")
        return scale

    def _in_force(
        self, cut: Cut, scale: float, what: str, taken: Taken
    ) -> float:
        """Return a threshold; the file's is moved off the score that it equals."""
        if not cut.imported:
            taken.add(f"threshold of {what}", f"{cut.value:.6g}", "option")
            return cut.value
        # Of the scale at the threshold, as the tolerance of a score there is.
        shift = SHIFT * float(scale_of_each(cut.value, scale))
        moved = "raised"
        if self.provenance.inclusive:
            shift, moved = -shift, "lowered"
        taken.add(
            f"threshold of {what}",
            f"{cut.value + shift:.9g}, {moved} by {SHIFT:g} of the scale ({abs(shift):.3g}), because the file's threshold is the score "
            f"of a validation picture",
            "computed",
        )
        return cut.value + shift

    def _extremes(
        self,
        threshold: float,
        scale: float,
        held_back: HeldBack | None,
        taken: Taken,
    ) -> tuple[float, float]:
        """Return the scores shown as 0 and 1; those of the sample, or an interval around the threshold."""
        if self.extremes is not None:
            low, high = self.extremes
            taken.add("display range", f"{low:.6g} to {high:.6g}", "file")
            return low, high
        half = max(abs(threshold), scale)
        low, high = threshold - half, threshold + half
        if held_back is not None:
            scores = held_back.scored.normal.scores
            low, high = float(scores.min()), float(scores.max())
        taken.add("display range", f"{low:.6g} to {high:.6g}", "computed")
        return low, high

    def _origin(
        self, threshold: float, held_back: HeldBack | None, taken: Taken
    ) -> Origin:
        shift = threshold - self.image.value
        origin = Origin(
            rule="imported" if self.image.imported else "given",
            source="none held back at the import",
            normal=0,
            anomalous=0,
            margin=abs(shift),
            extrapolated=False,
            pictures=sha256_of_bytes(b""),
            imported_from=self.provenance.name,
            shift=shift if self.image.imported else None,
        )
        if held_back is None:
            return origin
        ties: tuple[str, ...] = ()
        if self.image.imported:
            ties = _ties(held_back, self.image.value, shift)
        _note_labels(held_back, threshold, ties, taken)
        measured = _measured(held_back, threshold)
        _warn_of_labels(held_back, threshold, measured.get("sensitivity"))
        measured["ties"] = ties[:_MOST_NAMED]
        return origin.model_copy(update=measured)


def no_threshold(provenance: Provenance) -> str:
    """Return the message on a file without a threshold."""
    return (
        f"{provenance.name} holds no threshold of its scores, as if it was never validated; expected one: give a folder of "
        f"normal pictures that were not fitted to with --held-back, or a number with --threshold"
    )


def _measured(held_back: HeldBack, threshold: float) -> dict[str, Any]:
    """Return the fields of an origin that describe the held-back pictures."""
    sample, scored = held_back.sample, held_back.scored
    scores = scored.normal.scores
    digests = "".join(str(picture.digest) for picture in sample.normal)
    outliers = [sample.normal[i].name for i in far_above(scores)]
    fields: dict[str, Any] = {
        "source": sample.source,
        "normal": len(sample.normal),
        "margin": float(np.abs(scores - threshold).min()),
        "pictures": sha256_of_bytes(digests.encode()),
        "outliers": tuple(outliers[:_MOST_NAMED]),
        "normals": distributions_of_pictures(scores, sample.normal),
    }
    if len(scored.synthetic):
        synthetic = scored.synthetic
        fields["sensitivity"] = sensitivity(
            scores, synthetic.scores, synthetic.kinds, threshold
        )
    return fields


def _warn_of_labels(
    held_back: HeldBack, threshold: float, measured: Sensitivity | None
) -> None:
    """Warn if a threshold that no rule placed does not suit the held-back pictures."""
    scores = held_back.scored.normal.scores
    above = int((scores > threshold).sum())
    faults = []
    if above > _MOST_ALARMS * scores.size:
        faults.append(
            f"labels {above} of {scores.size} held-back normal pictures anomalous"
        )
    if measured is not None and measured.caught < _LEAST_CAUGHT:
        faults.append(
            f"catches {measured.caught:.0%} of the synthetic defects on them"
        )
    if faults:
        warnings.warn(
            f"the threshold {threshold:.6g} {' and '.join(faults)}: look at these pictures, which must be like those that the model "
            f"was trained on, or place another threshold with --rule balanced",
            UnsuitableThresholdWarning,
            stacklevel=2,
        )


def _ties(held_back: HeldBack, stored: float, shift: float) -> tuple[str, ...]:
    """Return the names of pictures whose scores lie within the shift of the stored threshold."""
    distances = np.abs(held_back.scored.normal.scores - stored)
    close = np.flatnonzero(distances <= abs(shift)).tolist()
    return tuple(held_back.sample.normal[i].name for i in close)


def _note_labels(
    held_back: HeldBack,
    threshold: float,
    ties: tuple[str, ...],
    taken: Taken,
) -> None:
    scores = held_back.scored.normal.scores
    above = int((scores > threshold).sum())
    taken.add(
        "held-back pictures above the threshold",
        f"{above} of {scores.size}",
        "computed",
    )
    if ties:
        shown = ", ".join(ties[:5]) + ", ..." * (len(ties) > 5)
        text = f"{len(ties)} held-back pictures score as the file's threshold and may be labelled otherwise: {shown}"
        taken.add("ties", text, "computed")
