"""The differences between one output of a layout's graph and the reference, over all runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from anomedge.layouts import LayoutOutput
from anomedge.parity.expected import allowed_of
from anomedge.parity.outputs import Outputs
from anomedge.parity.records import CheckResult
from anomedge.parity.tolerances import Tolerance
from anomedge.threshold import Decision, scale_of_each

__all__ = ["LayoutMeter", "check_of"]


class LayoutMeter:
    """The differences between one output and the reference, over all runs.

    Attributes:
        error: largest error of a value, in its form's unit.
        flipped: names of the pictures with another label.
        wrong_pixels: number of pixels on the wrong side of the threshold.
    """

    def __init__(
        self, name: str, output: LayoutOutput, decision: Decision
    ) -> None:
        self.name, self.output, self.decision = name, output, decision
        self.error = 0.0
        self.flipped: list[str] = []
        self.wrong_pixels = 0

    def add(
        self,
        values: npt.NDArray[np.generic],
        expected: Outputs,
        names: Sequence[str],
        tolerance: Tolerance,
    ) -> None:
        """Compare one run's values of the output; those of a map that the original has not are wrong."""
        is_score = self.output.quantity == "score"
        raw = expected.score if is_score else expected.anomaly_map
        if raw is None:
            self.error = np.inf
            self.wrong_pixels += values.size
        elif self.output.form != "label":
            self._add_error(values, raw)
        elif is_score:
            flips = self.decision.is_anomalous(raw) != values
            self.flipped += [
                name for name, flip in zip(names, flips, strict=True) if flip
            ]
        else:
            self._count_wrong_pixels(values, raw, tolerance)

    def check(
        self, runtime: str, layout: str, tolerance: Tolerance
    ) -> CheckResult:
        """Return the check of all that was added."""
        name = f"{layout} {self.name}"
        allowed = allowed_of(self.output, self.decision, tolerance)
        if allowed is None:
            wrong = ""
            if self.flipped:
                shown = ", ".join(self.flipped[:5])
                wrong = f"{len(self.flipped)} labels flipped: {shown}"
            if self.wrong_pixels:
                wrong = f"{self.wrong_pixels} pixels on the wrong side"
            return check_of(runtime, name, wrong)
        wrong = ""
        if not self.error <= allowed:
            wrong = f"off by {self.error:.2e}; allowed {allowed:.1e}"
        check = check_of(runtime, name, wrong)
        return check.model_copy(
            update={"error": self.error, "tolerance": allowed}
        )

    def _add_error(
        self,
        values: npt.NDArray[np.generic],
        raw: npt.NDArray[np.floating],
    ) -> None:
        """Keep the larger error; NaN counts as infinite."""
        decision, is_score = self.decision, self.output.quantity == "score"
        found = values.astype(np.float64)
        if self.output.form == "raw":
            scales = scale_of_each(raw.astype(np.float64), decision.scale)
            error = float((np.abs(found - raw) / scales).max())
        else:
            threshold = (
                decision.threshold if is_score else decision.threshold_of_map
            )
            expected = decision.normalised(raw, threshold)
            error = float(np.abs(found - expected).max())
        self.error = max(self.error, np.inf if np.isnan(error) else error)

    def _count_wrong_pixels(
        self,
        mask: npt.NDArray[np.generic],
        raw_map: npt.NDArray[np.floating],
        tolerance: Tolerance,
    ) -> None:
        """Count the pixels of the mask that differ from the original's.

        Pixels within the tolerance of the threshold are not counted: both
        labels are right there.
        """
        threshold, scale = self.decision.threshold_of_map, self.decision.scale
        band = tolerance.map * float(scale_of_each(threshold, scale))
        distances = np.abs(raw_map.astype(np.float64) - threshold)
        wrong = (mask != self.decision.mask(raw_map)) & (distances > band)
        self.wrong_pixels += int(wrong.sum())


def check_of(runtime: str, name: str, wrong: str) -> CheckResult:
    """Return a check of the contract; it passes if nothing is wrong."""
    return CheckResult(
        runtime=runtime,
        kind="contract",
        name=name,
        detail=wrong,
        passed=not wrong,
    )
