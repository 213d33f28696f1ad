"""Distributions of scores and image statistics of normal pictures, in the compact form of files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    model_validator,
)

__all__ = ["MOST_VALUES", "NormalDistributions", "compact"]

MOST_VALUES = 256
_DIGITS = 7
"""Significant digits of a value, as of float32."""

Values = Annotated[tuple[FiniteFloat, ...], Field(max_length=MOST_VALUES)]


class NormalDistributions(BaseModel):
    """Sorted values of normal pictures: all of up to 256, or 256 quantiles of more.

    Attributes:
        count: number of scored pictures.
        scores: their scores.
        size: height and width of the pictures; None if they vary.
        brightness, contrast, sharpness: of the pictures, as `anomedge.images.statistics` measures them; of at most 256
            of them. Empty if they were not measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    count: int = Field(ge=1)
    scores: Values = Field(min_length=1)
    size: tuple[int, int] | None = None
    brightness: Values = ()
    contrast: Values = ()
    sharpness: Values = ()

    @model_validator(mode="after")
    def _is_consistent(self) -> NormalDistributions:
        """Refuse unsorted values, and more values than pictures."""
        for values in (self.scores, *self.of_images):
            if list(values) != sorted(values):
                raise ValueError("expected distributions in ascending order")
            if len(values) > self.count:
                raise ValueError("expected at most one value per picture")
        if len({len(values) for values in self.of_images}) > 1:
            raise ValueError("expected equal numbers of image statistics")
        return self

    def with_scores_on(self, slope: float, shift: float) -> NormalDistributions:
        """Return the distributions with the scores slope s + shift, for a positive slope."""
        moved = [slope * score + shift for score in self.scores]
        return self.model_copy(update={"scores": compact(moved)})

    @property
    def of_images(self) -> tuple[tuple[float, ...], ...]:
        """Brightness, contrast and sharpness."""
        return self.brightness, self.contrast, self.sharpness


def compact(
    values: Sequence[float] | npt.NDArray[np.floating],
) -> tuple[float, ...]:
    """Return sorted values with 7 digits: all of up to 256, or the quantiles (i + 1/2) / 256 of more.

    >>> compact([2.0, 1.0])
    (1.0, 2.0)
    >>> quantiles = compact(np.arange(2561.0))
    >>> len(quantiles), quantiles[:2]
    (256, (5.0, 15.0))
    """
    given = np.sort(np.asarray(values, dtype=np.float64))
    if given.size > MOST_VALUES:
        shares = (np.arange(MOST_VALUES) + 0.5) / MOST_VALUES
        given = np.quantile(given, shares)
    return tuple(float(f"{value:.{_DIGITS}g}") for value in given)
