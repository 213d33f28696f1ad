"""Plan the thresholds of an imported model: those of its file, numbers of the user, or a rule on held-back pictures.

The plan is made before the model is built, so that a lack of thresholds is refused early.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anomedge.errors import InputError
from anomedge.interop.anomalib.foreign import StoredThresholds, Taken
from anomedge.interop.decision import ByRule, Provenance, Stated, no_threshold
from anomedge.interop.raw_thresholds import (
    Cut,
    levels,
    raw_threshold,
    tight_scale,
)
from anomedge.pipelines.decision import Rule

__all__ = ["Chosen", "plan_thresholds"]


_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Chosen:
    """Thresholds that the user chooses in place of the file's.

    Attributes:
        threshold: raw threshold of scores.
        pixel_threshold: raw threshold of maps.
        rule: rule on the held-back pictures; None: the file's thresholds where it has them, else the default rule.
    """

    threshold: float | None = None
    pixel_threshold: float | None = None
    rule: Rule | None = None

    def check(self, *, held_back: bool) -> None:
        """Refuse options that contradict each other.

        Raises:
            InputError: such options, or a number that float32 does not have.
        """
        for name, value in (
            ("--threshold", self.threshold),
            ("--pixel-threshold", self.pixel_threshold),
        ):
            if value is not None and not abs(value) <= _LARGEST:
                raise InputError(
                    f"got {name} {value}; expected a number that float32 has, in the units of raw scores"
                )
        if self.rule is None:
            return
        self.rule.check(labelled=False)
        if not held_back:
            raise InputError(
                "got a rule for the threshold without --held-back; expected a folder of normal pictures that it scores"
            )
        if self.threshold is not None:
            raise InputError(
                "got --threshold and a rule for the threshold; expected one of them"
            )


def plan_thresholds(
    stored: StoredThresholds,
    provenance: Provenance,
    chosen: Chosen,
    *,
    held_back: bool,
) -> ByRule | Stated:
    """Decide where the thresholds of an import come from.

    Args:
        stored: values of the file.
        provenance: the file.
        chosen: numbers or a rule of the user.
        held_back: whether there are held-back pictures.

    Raises:
        InputError: neither the file, nor the user, nor pictures give a threshold or a scale; a sensitivity that no raw
            threshold expresses; or options that contradict each other.
    """
    chosen.check(held_back=held_back)
    if chosen.rule is not None:
        return ByRule(provenance, chosen.rule, chosen.pixel_threshold)
    lines = Taken()
    image, pixel = _cuts(stored, chosen, lines)
    if image is None and held_back:
        return ByRule(provenance, Rule(), chosen.pixel_threshold)
    if image is None:
        raise InputError(no_threshold(provenance))
    scale = None
    if not held_back:
        scale = tight_scale(stored, image.value, provenance.name)
    return Stated(
        provenance,
        image,
        pixel or _same(image, stored, provenance),
        _extremes(stored),
        scale,
        lines,
    )


def _cuts(
    stored: StoredThresholds, chosen: Chosen, lines: Taken
) -> tuple[Cut | None, Cut | None]:
    """Return the thresholds of scores and maps: the user's, else the file's, else None."""
    scores, maps = levels(stored)
    matched = stored.threshold_matching is not False
    image = _given(chosen.threshold)
    if image is None:
        other = maps if matched else None
        image = _imported(raw_threshold(scores, other, lines))
    pixel = _given(chosen.pixel_threshold)
    if pixel is None:
        other = scores if matched else None
        pixel = _imported(raw_threshold(maps, other, lines))
    return image, pixel


def _same(image: Cut, stored: StoredThresholds, provenance: Provenance) -> Cut:
    """Return the threshold of scores for maps as well.

    Raises:
        InputError: the file says that one threshold does not serve both.
    """
    if stored.threshold_matching is False:
        raise InputError(
            f"{provenance.name} holds no threshold of its maps, and says that the one of scores does not serve both; "
            f"expected one: give --pixel-threshold, or --held-back with --rule balanced"
        )
    return image


def _extremes(stored: StoredThresholds) -> tuple[float, float] | None:
    """Return the scores that anomalib shows as 0 and 1, as far as the file has them."""
    low, high = stored.image_min, stored.image_max
    if low is not None and high is not None:
        return (low, high) if low < high else None
    threshold, span = stored.image_threshold, stored.image_range
    if threshold is None or span is None or span <= 0:
        return None
    return threshold - span / 2, threshold + span / 2


def _given(value: float | None) -> Cut | None:
    return None if value is None else Cut(value, imported=False)


def _imported(value: float | None) -> Cut | None:
    return None if value is None else Cut(value, imported=True)
