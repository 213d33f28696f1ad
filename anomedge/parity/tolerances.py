"""The largest errors that this release allows, by precision. A bundle may state tighter tolerances, never wider ones."""

from __future__ import annotations

from anomedge.bundle.contracts import Frozen
from anomedge.errors import InputError

__all__ = [
    "TOLERANCES",
    "UINT8_PIXELS",
    "WIDEST",
    "Tolerance",
    "release_tolerance",
]

WIDEST = 100.0
"""Largest factor that a user may apply to the tolerances."""

UINT8_PIXELS = 1.01 / 255
"""Tolerance against torchvision's uint8 path, which rounds to grey levels after each axis: twice half a level, plus 1 %
for its integer weights (1.005 levels measured on noise)."""


class Tolerance(Frozen):
    """Largest errors allowed.

    `score`, `map` and `batch` are shares of `anomedge.threshold.scale_of_each`, `pixels` is a share of the [0, 1] range,
    and `stage` is a share of a stage's spread over all pictures with stages.
    """

    score: float
    map: float
    batch: float
    pixels: float
    stage: float

    def at(self, stage: str) -> float:
        """Return the largest error allowed at a stage, in the unit of `anomedge.parity.stages.scales_of`."""
        coarser = max(
            0.0, self.pixels - TOLERANCES["fp32"].pixels
        )  # additional pixel error of a reduced precision
        return {
            "preprocessed": self.pixels,
            "rounded": UINT8_PIXELS + coarser,
        }.get(stage, self.stage)

    def widened(self, factor: float) -> Tolerance:
        """Return a copy with every tolerance multiplied by `factor`."""
        return Tolerance(
            **{
                name: value * factor
                for name, value in self.model_dump().items()
            }
        )


TOLERANCES = {
    "fp32": Tolerance(
        score=1e-4, map=1e-4, batch=1e-5, pixels=1e-5, stage=1e-4
    ),
    # Operands rounded to ten bits, on the demonstration's pictures: 1.8e-2 of the scale, 5.3e-4 of the pixels' range.
    "tf32": Tolerance(
        score=3e-2, map=3e-2, batch=3e-2, pixels=1e-3, stage=3e-2
    ),
    # Twice the worst that was measured, an extreme frame; pictures reached a third: docs/decisions/0010-half-precision.md.
    # A GPU uses kernels that round differently for different batch sizes.
    "fp16": Tolerance(
        score=1e-1, map=1e-1, batch=5e-2, pixels=1e-5, stage=5e-2
    ),
    "fp16-storage": Tolerance(
        score=2e-2, map=2e-2, batch=1e-5, pixels=1e-5, stage=2e-2
    ),
}
"""Tolerances by precision. Written into every manifest but never read from it, so a bundle cannot relax its own proof."""


def release_tolerance(precision: str, factor: float = 1.0) -> Tolerance:
    """Return this release's tolerances of a precision, multiplied by `factor`.

    >>> release_tolerance("fp32", 10).score
    0.001

    Raises:
        InputError: an unknown precision, or a factor outside [1, 100].
    """
    if not 1 <= factor <= WIDEST:
        raise InputError(
            f"got tolerances widened {factor:g} times; expected a factor from 1 to {WIDEST:g}"
        )
    if precision not in TOLERANCES:
        raise InputError(
            f"got precision {precision!r}; this release has tolerances of: {', '.join(TOLERANCES)}"
        )
    return TOLERANCES[precision].widened(factor)
