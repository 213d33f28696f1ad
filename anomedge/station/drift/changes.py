"""Least changes of a figure's quartiles that count as a drift.

A test finds any difference of two distributions, given enough values. Contents of pictures differ a little between lots,
and lamps between hours, without any effect on the labels, so that a drift needs a change of this size as well.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from anomedge.station.drift.figure import Change, Quartiles

__all__ = [
    "LEAST_FACTORS",
    "LEAST_SHARE",
    "change_of_images",
    "change_of_scores",
]

LEAST_FACTORS = {"brightness": 1.1, "contrast": 1.2, "sharpness": 1.5}
"""Least factor, up or down, by which a quartile of an image statistic changes."""
LEAST_SHARE = 0.1
"""Least change of a quartile of the scores, as a share of the scale."""


def change_of_images(name: str) -> Change:
    """Return the change of an image statistic: the largest |log of a ratio| of quartiles, over that of the least factor.

    >>> quartiles = np.array([99.0, 99.0, 99.0])
    >>> round(change_of_images("brightness")(quartiles, quartiles * 1.3), 2)
    2.73
    """
    return partial(_ratio, math.log(LEAST_FACTORS[name]))


def change_of_scores(scale: float) -> Change:
    """Return the change of scores: the largest difference of quartiles, over the least one."""
    # A tenth of the least number above 0 is 0.
    least = max(LEAST_SHARE * scale, float(np.finfo(np.float64).tiny))
    return partial(_difference, least)


def _ratio(least: float, before: Quartiles, after: Quartiles) -> float:
    # One grey level more, so that black frames have a ratio and noise of dark ones does not count.
    logarithms = np.log((after + 1) / (before + 1))
    return float(np.abs(logarithms).max()) / least


def _difference(least: float, before: Quartiles, after: Quartiles) -> float:
    return float(np.abs(after - before).max()) / least
