"""Levels: the range of values of pictures with more than 8 bits a channel that becomes 0 to 255."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomedge.errors import InputError

__all__ = ["MOST_LEVELS", "Levels", "suggested_levels"]

MOST_LEVELS = 65535
"""Largest value of a channel of 16 bits."""


class Levels(NamedTuple):
    """A range [low, high] of a picture's values, in the units of its file."""

    low: int
    high: int

    @classmethod
    def checked(cls, low: int, high: int) -> Levels:
        """Return the levels.

        Raises:
            InputError: not 0 <= low < high <= 65535.
        """
        if not 0 <= low < high <= MOST_LEVELS:
            raise InputError(
                f"got levels {low} {high}; expected LOW below HIGH, both from 0 to {MOST_LEVELS}, such as 0 4095 for 12 bits"
            )
        return cls(low, high)

    def apply(self, values: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
        """Map low to 0 and high to 255 linearly; clip, and round to whole grey levels.

        >>> Levels(100, 355).apply(np.array([0, 100, 228, 355, 4095], np.uint16)).tolist()
        [0, 0, 128, 255, 255]
        """
        every = np.arange(MOST_LEVELS + 1)
        share = (every - self.low) / (self.high - self.low)
        table = np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)
        return np.asarray(table[values])


def suggested_levels(largest: int) -> Levels:
    """Return the range of the least number of bits, more than 8, that holds a value.

    >>> suggested_levels(4012), suggested_levels(17)
    (Levels(low=0, high=4095), Levels(low=0, high=511))
    """
    bits = max(9, int(largest).bit_length())
    return Levels(0, (1 << bits) - 1)
