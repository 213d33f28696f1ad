"""Carry thresholds from a float detector over to its quantised one, by pairs of scores.

Both detectors score the same normal pictures and the same synthetic defects. The threshold of the quantised detector is
the one that labels most of them as the float detector does; where several do, the one that a line through the pairs
near the float threshold gives. It keeps a quarter of the gap between the two scores around it as distance from each,
because rounding in a runtime moves scores. A threshold that is placed again by the rule of the fit would keep the
false-alarm rate but not the labels: it lies between two scores of its sample, and rounding changes their order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomedge.errors import InputError
from anomedge.threshold import Decision, Scores

__all__ = ["Pairs", "carried_decision", "carried_threshold", "flips", "rises"]

_NEAR = 40
_LEAST_MARGIN = 0.25
"""Least distance of a threshold from the scores around it, as a share of their gap."""


class Pairs(NamedTuple):
    """Scores (N,) of the same images before and after a change of the detector, and peaks of their maps, if any."""

    before: Scores
    after: Scores
    peaks_before: Scores | None = None
    peaks_after: Scores | None = None


def carried_decision(decision: Decision, pairs: Pairs) -> Decision:
    """Return the decision of the changed detector.

    Display range and scale follow a line through all pairs.

    Raises:
        InputError: the changed scores do not rise with the original ones.
    """
    slope, shift = _line(pairs.before, pairs.after)
    if not rises(pairs):
        raise InputError(
            "got quantised scores that do not rise with the float ones; expected them to: give other pictures, or keep fp32"
        )
    threshold = carried_threshold(pairs.before, pairs.after, decision.threshold)
    pixels = decision.pixel_threshold
    if (
        pixels is not None
        and pairs.peaks_before is not None
        and pairs.peaks_after is not None
    ):
        pixels = carried_threshold(
            pairs.peaks_before, pairs.peaks_after, pixels
        )
    margin = float(np.abs(pairs.after - threshold).min())
    normals = decision.origin.normals
    origin = decision.origin.model_copy(
        update={
            "carried_by": len(pairs.before),
            "margin": margin,
            "normals": normals and normals.with_scores_on(slope, shift),
        }
    )
    return decision.model_copy(
        update={
            "threshold": threshold,
            "pixel_threshold": pixels,
            "minimum": slope * decision.minimum + shift,
            "maximum": slope * decision.maximum + shift,
            "scale": slope * decision.scale,
            "origin": origin,
        }
    )


def rises(pairs: Pairs) -> bool:
    """Return whether the changed scores rise with the original ones, on average."""
    return _line(pairs.before, pairs.after)[0] > 0


def carried_threshold(before: Scores, after: Scores, threshold: float) -> float:
    """Return the threshold of `after` whose labels agree best with those of `before` at its threshold.

    >>> scores = np.array([1.0, 2.0, 3.0, 4.0])
    >>> carried_threshold(scores, 2 * scores, 2.5)
    5.0
    """
    order = np.argsort(np.abs(before - threshold), kind="stable")[:_NEAR]
    slope, shift = _line(before[order], after[order])
    guess = slope * threshold + shift
    ordered = np.sort(np.unique(after.astype(np.float64)))
    middles = (ordered[1:] + ordered[:-1]) / 2
    gap = (ordered[-1] - ordered[0]) / len(ordered) or 1.0
    outside = [ordered[0] - gap, ordered[-1] + gap]
    candidates = np.concatenate([[guess], middles, outside])
    above = before > threshold
    counts = np.array([flips(above, after, cut) for cut in candidates])
    best = candidates[counts == counts.min()]
    return _off_scores(float(best[np.abs(best - guess).argmin()]), ordered)


def _off_scores(cut: float, ordered: npt.NDArray[np.float64]) -> float:
    """Return a cut between two scores, moved away from the nearer one; others stay."""
    place = int(np.searchsorted(ordered, cut, side="right"))
    if not 0 < place < len(ordered):
        return cut
    low, high = ordered[place - 1], ordered[place]
    least = _LEAST_MARGIN * (high - low)
    return float(np.clip(cut, low + least, high - least))


def flips(above: npt.NDArray[np.bool_], after: Scores, threshold: float) -> int:
    """Return the number of labels that differ from `above` at a threshold."""
    return int(((after > threshold) != above).sum())


def _line(before: Scores, after: Scores) -> tuple[float, float]:
    """Return slope and intercept of the least-squares line; a shift where the scores are equal."""
    x, y = before.astype(np.float64), after.astype(np.float64)
    variance = float(np.var(x))
    if variance == 0:
        return 1.0, float((y - x).mean())
    slope = float(((x - x.mean()) * (y - y.mean())).mean()) / variance
    return slope, float(y.mean() - slope * x.mean())
