"""Two-sample Kolmogorov-Smirnov test with exact levels.

The statistic is the largest distance of the empirical distribution functions F of a reference of n values and G of a
window of m values::

    D = max over x of |F(x) - G(x)|

If both samples come from one distribution, each of the C(n + m, n) orders of their values is equally likely. An order is
a path on a lattice from (0, 0) to (n, m), and D < d if and only if the path stays where |i/n - j/m| < d. The number A of
such paths follows from a recursion, row by row, so that::

    P(D >= d) = 1 - A(d) / C(n + m, n)

J. L. Hodges, "The significance probability of the Smirnov two-sample test", Arkiv för Matematik 3 (1958), 469-486. With
equal values the test is conservative.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["distance", "limit", "probability"]

Ranks = npt.NDArray[np.int64]


def distance(below: Ranks, not_above: Ranks, n: int) -> float:
    """Return D of a window of m values.

    Args:
        below: (m,) number of values of the reference that are smaller than each value of the window.
        not_above: (m,) number of values that are smaller or equal.
        n: number of values of the reference.

    >>> distance(np.array([2, 2]), np.array([2, 2]), 2)
    1.0
    """
    steps = _steps(len(below))
    ahead = steps[1:] - np.sort(not_above) / n
    behind = np.sort(below) / n - steps[:-1]
    return float(max(ahead.max(), behind.max()))


@lru_cache(maxsize=64)
def _steps(m: int) -> npt.NDArray[np.float64]:
    """Return the values 0, 1/m, ..., 1 of G."""
    return np.arange(m + 1) / m


def probability(d: float, n: int, m: int) -> float:
    """Return P(D >= d) for n and m values of one distribution.

    >>> round(probability(1.0, 2, 2), 6)  # 2 of 6 orders
    0.333333
    """
    return _probability(math.ceil(d * n * m - 1e-9), n, m)


@lru_cache(maxsize=64)
def limit(level: float, n: int, m: int) -> float | None:
    """Return the smallest multiple d of 1 / (n m) with P(D >= d) <= level; None if n and m are too small for the level.

    >>> limit(0.5, 2, 2), limit(0.01, 2, 2)
    (0.75, None)
    """
    low, high = 0, n * m
    if _probability(high, n, m) > level:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if _probability(middle, n, m) <= level:
            high = middle
        else:
            low = middle
    return high / (n * m)


def _probability(k: int, n: int, m: int) -> float:
    """Return P(D >= k / (n m)) by counting the paths with |i m - j n| < k."""
    if k <= 0:
        return 1.0
    columns = np.arange(m + 1) * n
    paths = (columns < k).astype(np.float64)
    for i in range(1, n + 1):
        inside = np.abs(i * m - columns) < k
        paths = np.cumsum(paths * inside) * inside
    return max(0.0, 1.0 - float(paths[-1]) / math.comb(n + m, n))
