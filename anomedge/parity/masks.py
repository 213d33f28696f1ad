"""Judge the map near the pixel threshold, where an error within the tolerance still changes the mask.

A map may be off by the tolerance of its worst pixel. A map that is off by that much *everywhere* can lose every pixel
of a mask. Rounding does not do this: its worst pixel is far above its typical one. So the root mean square of the
errors near the threshold has a limit of its own. See docs/decisions/0023-maps-near-the-pixel-threshold.md.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from anomedge.parity.comparison import Comparison
from anomedge.parity.metrics import mask_iou
from anomedge.parity.outputs import Outputs
from anomedge.parity.pictures import STRANGE
from anomedge.parity.records import CheckResult
from anomedge.parity.tolerances import Tolerance
from anomedge.threshold import Decision, scale_of_each

__all__ = ["CHECK", "MaskMeter", "allowed_near"]

CHECK = "map near the pixel threshold"
"""Name of the check."""

_SHARE_OF_TOLERANCE = 0.2
"""Largest typical error, as a share of the tolerance; rounding reached 0.01 of it (the decision has the figures)."""

_NEAR = 0.1
"""Distance from the pixel threshold, as a share of the scale, within which pixels count; a wider tolerance widens it."""

_FEWEST_PIXELS = 100
_FEWEST_PICTURES = 3
"""Fewer near pixels, or of fewer pictures, do not tell a typical error from a single one: then all pixels count."""

_SMALL_MASK = 1e-3
"""Share of the map; the overlap of smaller masks says little."""

_LOW_OVERLAP = 0.5


class MaskMeter:
    """The errors near the pixel threshold over all runs of one runtime, and pictures whose masks differ.

    Pixels near the threshold in force and near the export's are judged apart; where too few are near, all pixels are.
    Extreme frames do not count: a map of one value is near the threshold everywhere or nowhere.
    """

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self._worst: float | None = None
        self._overlaps: dict[str, tuple[float, int]] = {}

    def add(self, outputs: Outputs) -> None:
        """Compare the outputs of all pictures; a detector without a map adds nothing."""
        comparison = self._comparison
        expected, actual = (
            comparison.reference.outputs.anomaly_map,
            outputs.anomaly_map,
        )
        if expected is None or actual is None:
            return
        for decision in _decisions(comparison):
            self._add_errors(decision, expected, actual)
        if comparison.decision.has_map:
            self._add_overlaps(expected, actual)

    def checks(self, runtime: str) -> Iterator[CheckResult]:
        """Yield the check of the typical error; none of a detector without a map."""
        if self._worst is None:
            return
        allowed = allowed_near(self._comparison.tolerance)
        passed = self._worst <= allowed
        detail = (
            f"typically off by {self._worst:.2e} of the scale, so masks differ; allowed {allowed:.1e}, as rounding is "
            f"far smaller than its worst pixel"
        )
        yield CheckResult(
            runtime=runtime,
            kind="contract",
            name=CHECK,
            error=self._worst,
            tolerance=allowed,
            detail="" if passed else detail,
            passed=passed,
        )

    def cautions(self, runtime: str) -> Iterator[str]:
        """Yield one phrase on the picture with the smallest overlap, if it is low and its mask is not small."""
        low = {
            name: found
            for name, found in self._overlaps.items()
            if found[0] < _LOW_OVERLAP
        }
        if not low:
            return
        name = min(low, key=lambda name: low[name])
        overlap, pixels = low[name]
        more = f", and {len(low) - 1} more pictures" if len(low) > 1 else ""
        yield (
            f"the mask of {name} under {runtime} overlaps the original's by {overlap:.2f} ({pixels} pixels){more}: "
            f"its map is as near to the pixel threshold as the tolerance"
        )

    def _add_errors(
        self,
        decision: Decision,
        expected: npt.NDArray[np.floating],
        actual: npt.NDArray[np.floating],
    ) -> None:
        near = max(_NEAR, self._comparison.tolerance.map)
        typical = self._typical(decision, expected, actual, near)
        if typical is None:
            typical = self._typical(decision, expected, actual, np.inf) or 0.0
        self._worst = max(self._worst or 0.0, typical)

    def _typical(
        self,
        decision: Decision,
        expected: npt.NDArray[np.floating],
        actual: npt.NDArray[np.floating],
        near: float,
    ) -> float | None:
        """Return the root mean square of the errors of near pixels; None if they are too few to judge."""
        squares, pixels, pictures = 0.0, 0, 0
        for place in self._places():
            errors = _errors_near(
                decision, expected[place], actual[place], near
            )
            squares += float(np.square(errors).sum())
            pixels += errors.size
            pictures += errors.size > 0
        few = pixels < _FEWEST_PIXELS or pictures < _FEWEST_PICTURES
        if few and np.isfinite(near):
            return None
        typical = float(np.sqrt(squares / max(pixels, 1)))
        # An error that is no number must not be lost in a comparison.
        return typical if np.isfinite(typical) else float("inf")

    def _add_overlaps(
        self,
        expected: npt.NDArray[np.floating],
        actual: npt.NDArray[np.floating],
    ) -> None:
        decision, names = self._comparison.decision, self._comparison.reference.names  # fmt: skip
        for place in self._places():
            one = decision.mask(expected[place])
            other = decision.mask(actual[place])
            pixels = int(max(one.sum(), other.sum()))
            if pixels >= max(1.0, _SMALL_MASK * one.size):
                overlap = (mask_iou(one, other), pixels)
                known = self._overlaps.get(names[place], overlap)
                self._overlaps[names[place]] = min(known, overlap)

    def _places(self) -> list[int]:
        """Return the indices of the pictures that are not strange."""
        pictures = self._comparison.reference.pictures
        return [
            place
            for place, picture in enumerate(pictures)
            if picture.generated not in STRANGE
        ]


def allowed_near(tolerance: Tolerance) -> float:
    """Return the largest typical error near the pixel threshold, as a share of the scale."""
    return _SHARE_OF_TOLERANCE * tolerance.map


def _decisions(comparison: Comparison) -> list[Decision]:
    """Return the decisions whose pixel thresholds differ: the one in force, and the export's."""
    found: dict[float, Decision] = {}
    for decision in (comparison.decision, comparison.exported_decision):
        if decision.has_map:
            found.setdefault(decision.threshold_of_map, decision)
    return list(found.values())


def _errors_near(
    decision: Decision,
    expected: npt.NDArray[np.floating],
    actual: npt.NDArray[np.floating],
    near: float,
) -> npt.NDArray[np.float64]:
    """Return the errors of the pixels within `near` of the pixel threshold, all as shares of the scale."""
    threshold = decision.threshold_of_map
    one, other = expected.astype(np.float64), actual.astype(np.float64)
    distances = np.abs(one - threshold)
    chosen = distances <= near * scale_of_each(threshold, decision.scale)
    scales = scale_of_each(one[chosen], decision.scale)
    return np.asarray((other[chosen] - one[chosen]) / scales)
