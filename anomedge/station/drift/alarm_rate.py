"""Test of a window's number of alarms against that of a reference, with exact levels.

Of n normal pictures of the reference, k lie above the threshold. If the next m frames come from the same distribution,
the share above the threshold has at most the distribution Beta(k + 1, n - k), also for a threshold that was placed by
these n scores (see `anomedge.threshold.interval_of_rate`). The number X of alarms in the window is then beta-binomial::

    P(X = x) = C(m, x) B(x + k + 1, m - x + n - k) / B(k + 1, n - k)

E. J. Gumbel and H. von Schelling, "The distribution of the number of exceedances", Annals of Mathematical Statistics 21
(1950), 247-262.
"""

from __future__ import annotations

import math
from functools import lru_cache

__all__ = ["limit", "probability"]


def probability(x: int, m: int, k: int, n: int) -> float:
    """Return P(X >= x) for m frames, if k of n scores of the reference lie above the threshold; k < n.

    >>> round(probability(1, 1, 0, 9), 6)  # one of ten scores is the largest
    0.1
    """
    terms = (_log_term(each, m, k, n) for each in range(x, m + 1))
    return min(1.0, math.fsum(map(math.exp, terms)))


@lru_cache(maxsize=64)
def limit(level: float, m: int, k: int, n: int) -> int | None:
    """Return the smallest x with P(X >= x) <= level; None if no number of alarms is that unlikely.

    >>> limit(0.1, 1, 0, 9), limit(0.01, 1, 0, 9)
    (1, None)
    """
    if k >= n:
        return None
    counts = range(1, m + 1)
    return next((x for x in counts if probability(x, m, k, n) <= level), None)


def _log_term(x: int, m: int, k: int, n: int) -> float:
    chosen = math.lgamma(m + 1) - math.lgamma(x + 1) - math.lgamma(m - x + 1)
    numerator = _log_beta(x + k + 1, m - x + n - k)
    return chosen + numerator - _log_beta(k + 1, n - k)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
