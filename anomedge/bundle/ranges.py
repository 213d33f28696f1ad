"""Value ranges of all quantities that are, or may become, float16."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["LARGEST", "LEAST", "SAFETY", "Part", "Range"]

LARGEST = 65504.0
"""Largest finite number of float16."""
LEAST = 2.0**-14
"""Smallest normal number of float16, 6.1e-5; some kernels flush smaller numbers to zero."""
SAFETY = 4.0
"""Safety factor on observed magnitudes: two of the 30 powers of two of float16."""

Part = Literal["backbone", "statistics", "head"]
Magnitude = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Range(BaseModel):
    """Magnitudes of one quantity.

    Attributes:
        part: a layer of the backbone, a stored tensor of the head ("statistics"), or an intermediate result of the head.
        name: name of the layer, tensor or quantity.
        halved: True if the export writes it as float16; False if only another tool would.
        seen: largest observed magnitude on the pictures; for a stored tensor, its largest magnitude.
        bound: proven upper bound for features of up to `SAFETY` times the observed ones; for a stored tensor, its largest
            magnitude.
        least: smallest magnitude that affects the result; None if small values do not.

    >>> Range(part="head", name="squares", seen=9e4).verdict, Range(part="head", name="squares", bound=9e4).verdict
    ('overflows', 'may overflow')
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    part: Part
    name: str
    halved: bool = False
    seen: Magnitude | None = None
    bound: Magnitude | None = None
    least: Magnitude | None = None

    @property
    def reach(self) -> float:
        """Upper bound: the proven one, otherwise `SAFETY` times the observed magnitude."""
        return SAFETY * (self.seen or 0.0) if self.bound is None else self.bound

    @property
    def verdict(
        self,
    ) -> Literal["fits", "may overflow", "overflows", "underflows"]:
        """Overflow observed, overflow possible, precision loss of small values, or fits in float16."""
        if (self.seen or 0.0) > LARGEST:
            return "overflows"
        if self.reach > LARGEST:
            return "may overflow"
        return (
            "underflows"
            if self.least is not None and self.least < LEAST
            else "fits"
        )
