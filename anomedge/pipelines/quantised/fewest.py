"""Find a small number that is enough, with few attempts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

__all__ = ["REFINEMENTS", "fewest"]

REFINEMENTS = 2
"""Attempts after the first one that succeeds."""

T = TypeVar("T")


def fewest(
    first: int, most: int, attempt: Callable[[int], T | None]
) -> T | None:
    """Return the result of the smallest number found for which an attempt succeeds; None if none does.

    Numbers rise from the first one: by at least one, then to twice as many and so on. Between the last two a few more are
    tried.

    Args:
        first: the number to start with, from 0 to `most`.
        most: the largest number to try.
        attempt: returns a result, or None if the number is too small.

    >>> fewest(4, 100, lambda number: number if number >= 19 else None)
    20
    """
    number, too_small = first, first
    found = attempt(number)
    while found is None:
        if number >= most:
            return None
        too_small, number = number, min(max(1, 2 * number), most)
        found = attempt(number)
    for _ in range(REFINEMENTS):
        middle = (too_small + number) // 2
        if middle in (too_small, number):
            break
        between = attempt(middle)
        if between is None:
            too_small = middle
        else:
            number, found = middle, between
    return found
