"""Connected regions, against SciPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from anomedge.evaluation.regions import regions_of

EIGHT = np.ones((3, 3))


def check(mask):
    labels, count = ndimage.label(mask, EIGHT)
    found = regions_of(mask)
    assert found.count == count
    assert (
        found.sizes.tolist()
        == np.bincount(labels.ravel())[labels[mask]].tolist()
    )


@given(
    st.integers(1, 12), st.integers(1, 12), st.floats(0, 1), st.integers(0, 99)
)
def test_regions_are_those_of_scipy(height, width, share, seed):
    check(np.random.default_rng(seed).random((height, width)) < share)


def spiral(size):
    mask = np.zeros((size, size), bool)
    top, left, bottom, right = 0, 0, size - 1, size - 1
    while top <= bottom and left <= right:
        mask[top, left : right + 1] = True
        mask[top : bottom + 1, right] = True
        mask[bottom, left + 2 : right + 1] = True
        mask[top + 2 : bottom + 1, left + 2] = True
        top, left, bottom, right = top + 2, left + 2, bottom - 2, right - 2
    return mask


@pytest.mark.parametrize(
    "mask",
    [
        np.zeros((5, 4), bool),
        np.ones((5, 4), bool),
        np.eye(9, dtype=bool),
        np.indices((8, 8)).sum(axis=0) % 2 == 0,
        spiral(41),
        np.pad(np.ones((1, 1), bool), ((3, 0), (0, 3))),
    ],
)
def test_shapes_that_join_late(mask):
    check(mask)


def test_runs_at_opposite_borders_do_not_touch():
    mask = np.array([[0, 0, 1], [1, 0, 0]], bool)
    assert regions_of(mask).count == 2
