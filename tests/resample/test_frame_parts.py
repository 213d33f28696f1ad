"""Grids of tiles cover an image, keep their overlap, and choose one tile for each pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomedge.errors import InputError
from anomedge.resample import Geometry
from anomedge.resample.frame_parts import MOST_TILES, Tiling


@given(
    tile=st.integers(1, 40), overlap=st.integers(0, 39), n=st.integers(1, 300)
)
def test_tiles_cover_an_axis_and_overlap_enough(tile, overlap, n):
    if overlap >= tile or tile > n:
        return
    tiling = Tiling((tile, tile), overlap)
    starts = tiling.starts(n, 0)
    assert (starts[0], starts[-1]) == (0, n - tile)
    steps = np.diff(starts)
    assert (steps > 0).all() and (steps <= tile - overlap).all()
    if len(starts) > 1:
        assert (len(starts) - 1) * (tile - overlap) + overlap < n, "too many"
    shared = tile - steps.max() if len(steps) else None
    assert tiling.shared((n, tile)) == shared
    assert tiling.shared((tile, n)) == shared
    chosen = tiling.chosen(n, 0)
    pixels = (starts[:, None] + np.arange(tile)).ravel()
    np.testing.assert_array_equal(pixels[chosen], np.arange(n))


def test_a_pixel_comes_from_the_tile_in_which_it_lies_deepest():
    tiling = Tiling((8, 8), 4)
    starts, chosen = tiling.starts(20, 1), tiling.chosen(20, 1)
    for pixel, place in enumerate(chosen):
        depths = np.minimum(pixel - starts, starts + 7 - pixel)
        assert depths[place // 8] == depths.max()


@pytest.mark.parametrize(
    ("tiling", "image", "message"),
    [
        (((4, 8), 4), (16, 16), "an overlap from 0 to 3"),
        (((4, 8), -1), (16, 16), "an overlap from 0 to 3"),
        (((32, 8), 2), (16, 16), "expected tiles within it"),
        (((8, 8), 4), (512, 512), f"at most {MOST_TILES}"),
    ],
)
def test_grids_that_cannot_be_used_are_refused(tiling, image, message):
    with pytest.raises(InputError, match=message):
        Geometry(image, tiling=Tiling(*tiling))
