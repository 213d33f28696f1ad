"""How far the quantities of a detector reach, and whether float16 could hold them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["LARGEST", "LEAST", "SAFETY", "Part", "Range"]

LARGEST = 65504.0
"""Float16's largest number."""
LEAST = 2.0**-14
"""Float16's least number of full precision, 6.1e-5; some kernels make zero of what is below."""
SAFETY = 4.0
"""How much farther than on the pictures seen a quantity may reach: two of the 30 powers of two that float16 spans."""

Part = Literal["backbone", "statistics", "head"]
Magnitude = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Range(BaseModel):
    """Magnitudes of one quantity.

    Attributes:
        part: where it is: a layer of the backbone, a stored tensor of the head, or what the head computes.
        name: the layer's, the tensor's or the quantity's.
        halved: the export itself puts it into float16; else only who lowers the graph does.
        seen: observed, the largest on the pictures; of a stored tensor its own largest.
        bound: proven, for features up to `SAFETY` times those seen: nothing larger can come. Of a stored tensor its largest.
        least: the least that matters; None where nothing small does.

    >>> Range(part="head", name="squares", seen=9e4).verdict, Range(part="head", name="squares", bound=9e4).verdict
    ('overflows', 'may overflow')
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: Part
    name: str
    halved: bool = False
    seen: Magnitude | None = None
    bound: Magnitude | None = None
    least: Magnitude | None = None

    @property
    def reach(self) -> float:
        """How far it may go: what is proven, else `SAFETY` times what was seen."""
        return SAFETY * (self.seen or 0.0) if self.bound is None else self.bound

    @property
    def verdict(
        self,
    ) -> Literal["fits", "may overflow", "overflows", "underflows"]:
        """In float16: it overflowed on a picture, or could, or what matters of it would lose digits, or nothing."""
        if (self.seen or 0.0) > LARGEST:
            return "overflows"
        if self.reach > LARGEST:
            return "may overflow"
        return (
            "underflows"
            if self.least is not None and self.least < LEAST
            else "fits"
        )
