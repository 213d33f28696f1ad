"""AUPRO from counts, against its definition."""

import numpy as np
import pytest

from anomedge.evaluation.aupro import aupro
from anomedge.evaluation.curve import Counts


def overlap_curve(values, regions, normal):
    """Rates and overlaps at every threshold, by definition."""
    rates, overlaps = [0.0], [0.0]
    for threshold in np.unique(values)[::-1]:
        above = values >= threshold
        rates.append(above[normal].mean())
        overlaps.append(np.mean([above[region].mean() for region in regions]))
    return np.array(rates), np.array(overlaps)


@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("levels", [7, 1000])
def test_aupro_integrates_the_mean_overlap_of_regions(limit, levels):
    generator = np.random.default_rng(levels)
    owner = generator.integers(0, 4, 500)
    owner[owner == 3] = 0
    values = generator.integers(0, levels, 500) + 0.4 * levels * (owner > 0)
    sizes = np.bincount(owner, minlength=3)
    rates, overlaps = overlap_curve(
        values, [owner == 1, owner == 2], owner == 0
    )
    # Add the point on the limit, as a straight line between its neighbours.
    grid = np.sort(np.append(rates[rates < limit], limit))
    heights = np.append(
        overlaps[rates < limit], np.interp(limit, rates, overlaps)
    )
    known = np.sum(np.diff(grid) * (heights[1:] + heights[:-1]) / 2) / limit
    places = np.unique(-values, return_inverse=True)[1]
    size = places.max() + 1
    counts = Counts(
        np.bincount(places, owner == 0, size),
        np.bincount(places, owner > 0, size),
        np.bincount(places, np.where(owner > 0, 1 / sizes[owner], 0), size),
    )
    assert float(aupro(counts, limit)) == pytest.approx(known, abs=1e-12)
