"""The largest errors that this release allows, by precision. A bundle may state tighter tolerances, never wider ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from anomedge.errors import InputError
from anomedge.precisions import PRECISIONS, Tolerance
from anomedge.precisions.base import UINT8_PIXELS

__all__ = [
    "TOLERANCES",
    "UINT8_PIXELS",
    "WIDEST",
    "Tolerance",
    "release_tolerance",
]

WIDEST = 100.0
"""Largest factor that a user may apply to the tolerances."""


class _Tolerances(Mapping[str, Tolerance]):
    """The tolerances of all installed precisions, looked up when needed."""

    def __getitem__(self, precision: str) -> Tolerance:
        return PRECISIONS.members()[precision].tolerance

    def __iter__(self) -> Iterator[str]:
        return iter(PRECISIONS.members())

    def __len__(self) -> int:
        return len(PRECISIONS.members())


TOLERANCES: Mapping[str, Tolerance] = _Tolerances()
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
