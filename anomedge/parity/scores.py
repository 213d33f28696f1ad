"""Judge the typical error of the scores, which has a limit far below that of the worst one.

A score may be off by the tolerance of its worst picture. A graph that lowers *every* score by that much passes over each
defect that is near the threshold, while no label of these pictures need flip. Rounding does not do this: its worst picture
is far above its typical one. See docs/decisions/0023-maps-near-the-pixel-threshold.md.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from anomedge.parity.comparison import Comparison
from anomedge.parity.outputs import Outputs
from anomedge.parity.pictures import BLENDED, STRANGE
from anomedge.parity.records import CheckResult
from anomedge.parity.tolerances import Tolerance
from anomedge.precisions import PRECISIONS

__all__ = ["SCORES", "ScoreMeter", "allowed_typical"]

SCORES = "typical score"
"""Name of the check."""

_FEWEST = 3
"""Fewer pictures of a kind do not tell a typical error from a single one; they count with the others alone."""


class ScoreMeter:
    """The typical errors of all runs of one runtime.

    The root mean square is taken over all pictures but strange ones, and over blends near the threshold alone, where an
    error changes a label.
    """

    def __init__(self, comparison: Comparison, precision: str) -> None:
        self._comparison, self._precision = comparison, precision
        self._worst = 0.0

    def add(self, outputs: Outputs) -> None:
        """Compare the scores of all pictures, in the reference's order."""
        errors = self._comparison.score_errors(outputs)
        for chosen in self._kinds():
            self._worst = max(self._worst, _root_mean_square(errors[chosen]))

    def check(self, runtime: str) -> CheckResult:
        """Return the check of the largest typical error."""
        tolerance = self._comparison.tolerance
        allowed = allowed_typical(self._precision, tolerance)
        passed = self._worst <= allowed
        detail = (
            f"typically off by {self._worst:.2e} of the scale; allowed {allowed:.1e}, as rounding is far smaller than on "
            f"its worst picture"
        )
        return CheckResult(
            runtime=runtime,
            kind="contract",
            name=SCORES,
            error=self._worst,
            tolerance=allowed,
            detail="" if passed else detail,
            passed=passed,
        )

    def _kinds(self) -> Iterator[list[int]]:
        pictures = self._comparison.reference.pictures
        made = [picture.generated for picture in pictures]
        own = [i for i, how in enumerate(made) if how not in STRANGE]
        yield own or [*range(len(made))]
        blended = [i for i in own if made[i] == BLENDED]
        if len(blended) >= _FEWEST:
            yield blended


def allowed_typical(precision: str, tolerance: Tolerance) -> float:
    """Return the largest typical error of a score, as a share of the scale."""
    share = PRECISIONS.members()[precision].typical_score
    return share * tolerance.score


def _root_mean_square(errors: npt.NDArray[np.float64]) -> float:
    typical = float(np.sqrt(np.square(errors).mean()))
    # An error that is no number must not be lost in a comparison.
    return typical if np.isfinite(typical) else float("inf")
