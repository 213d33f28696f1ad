r"""Extrapolate a quantile of scores with a generalised Pareto tail.

Scores above a high level u, :math:`P(X - u > y \mid X > u) = (1 + \xi y / \sigma)^{-1/\xi}` (Pickands 1975). With k
of n scores above u, the score that a share p of all exceeds is

.. math:: q = u + \frac{\sigma}{\xi} \Big(\big(\tfrac{n p}{k}\big)^{-\xi} - 1\Big)

Few exceedances do not identify the shape. It is shrunk by a normal prior (penalised likelihood, as Coles and Dixon
1999), clamped to [-0.5, 0.25], and the fit refuses fewer than 20 exceedances. The likelihood is evaluated on a grid of
:math:`(\xi, q)`, from which the profile-likelihood interval of q also follows: no optimiser, and no start values.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomedge.errors import InputError
from anomedge.threshold import Scores, TailFit

__all__ = ["LEAST_EXCEEDANCES", "TailQuantile", "tail_quantile"]

LEAST_EXCEEDANCES = 20
_SHARE = 0.2
"""Share of the scores in the tail, if that is at least 20 of them."""
_SHAPES = np.linspace(-0.5, 0.25, 76)
_PRIOR = 0.15
"""Standard deviation of the shape's prior around 0, an exponential tail."""
_STEPS = 400
_DROP = 3.8415 / 2
"""Half the 95 % quantile of chi-squared with one degree of freedom."""

Grid = npt.NDArray[np.float64]


class TailQuantile(NamedTuple):
    """A quantile beyond the sample, and the fit that gave it."""

    value: float
    fit: TailFit


def tail_quantile(scores: Scores, rate: float) -> TailQuantile:
    """Return the score that a share `rate` of the pictures exceeds.

    >>> sample = -np.log1p(-(np.arange(100) + 0.5) / 100)
    >>> found = tail_quantile(sample, 0.01)
    >>> round(found.value, 1), found.fit.exceedances
    (4.5, 20)

    Raises:
        InputError: fewer than 20 scores above some level, a rate not below the tail's share, or equal scores.
    """
    ordered = np.sort(scores.astype(float))
    count = max(LEAST_EXCEEDANCES, math.ceil(_SHARE * ordered.size))
    if ordered.size <= count or not 0 < rate < count / ordered.size:
        raise InputError(
            f"got {ordered.size} scores for a rate of {rate}; "
            f"expected over {LEAST_EXCEEDANCES} scores and a lower rate"
        )
    level = (ordered[-count - 1] + ordered[-count]) / 2
    excesses = ordered[-count:] - level
    if not excesses.mean() > 0:
        raise InputError("got equal scores; expected them to differ")
    ratio = ordered.size * rate / count
    quantiles = excesses.mean() * np.geomspace(0.1, 50, _STEPS)
    likelihood = _log_likelihood(excesses, ratio, quantiles)
    shape, place = np.unravel_index(likelihood.argmax(), likelihood.shape)
    profile = likelihood.max(axis=0)
    inside = quantiles[profile >= profile.max() - _DROP]
    fit = TailFit(
        shape=float(_SHAPES[shape]),
        exceedances=count,
        low=float(level + inside.min()),
        high=float(level + inside.max()),
    )
    return TailQuantile(float(level + quantiles[place]), fit)


def _log_likelihood(excesses: Grid, ratio: float, quantiles: Grid) -> Grid:
    """Return the penalised log-likelihood (shapes, quantiles); -inf outside the distribution's support."""
    rows = []
    for shape in _SHAPES:
        if abs(shape) < 1e-9:
            scale = quantiles / -math.log(ratio)
            terms = -excesses[:, None] / scale - np.log(scale)
        else:
            scale = quantiles * shape / (ratio**-shape - 1)
            inner = 1 + shape * excesses[:, None] / scale
            with np.errstate(invalid="ignore", divide="ignore"):
                logs = np.where(
                    inner > 0, np.log(np.maximum(inner, 1e-300)), np.inf
                )
            terms = -(1 + 1 / shape) * logs - np.log(scale)
            terms = np.where(inner > 0, terms, -np.inf)
        rows.append(terms.sum(axis=0) - (shape / _PRIOR) ** 2 / 2)
    return np.asarray(rows)
