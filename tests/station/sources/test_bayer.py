"""Demosaicing against its definition, pixel by pixel, and against OpenCV."""

import numpy as np
import pytest

from anomedge.station.sources._bayer import PATTERNS, demosaic


def mosaic(height=7, width=8, top=255, dtype=np.uint8):
    return np.random.default_rng(3).integers(0, top + 1, (height, width), dtype)


def reflected(index, size):
    """The index of a pixel beyond the border; the border itself is not repeated."""
    return -index if index < 0 else min(index, 2 * (size - 1) - index)


def by_definition(values, pattern):
    """The mean of the pixels of each colour among the 3x3 neighbours, halves rounded up; the own value of the own colour."""
    height, width = values.shape
    rgb = np.zeros((height, width, 3), int)
    for row in range(height):
        for column in range(width):
            seen = {"r": [], "g": [], "b": []}
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    y = reflected(row + down, height)
                    x = reflected(column + right, width)
                    colour = pattern[2 * (y % 2) + x % 2]
                    seen[colour].append(int(values[y, x]))
            own = pattern[2 * (row % 2) + column % 2]
            seen[own] = [int(values[row, column])]
            for channel, colour in enumerate("rgb"):
                mean = sum(seen[colour]) / len(seen[colour])
                rgb[row, column, channel] = int(mean + 0.5)
    return rgb


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(
    ("top", "dtype"), [(255, np.uint8), (65535, np.uint16)]
)
def test_demosaicing_is_its_definition(pattern, top, dtype):
    values = mosaic(top=top, dtype=dtype)
    found = demosaic(values, pattern)
    assert found.dtype == dtype
    assert np.array_equal(found, by_definition(values, pattern))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_inside_the_border_it_is_opencvs(pattern):
    cv2 = pytest.importorskip("cv2")
    values = mosaic(20, 24)
    code = getattr(cv2, f"COLOR_Bayer{pattern.upper()}2RGB")
    theirs = cv2.cvtColor(values, code)
    ours = demosaic(values, pattern)
    assert np.array_equal(ours[1:-1, 1:-1], theirs[1:-1, 1:-1])


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_plain_colour_is_itself(pattern):
    colours = {"r": 200, "g": 90, "b": 10}
    tile = np.array([colours[each] for each in pattern], np.uint8)
    values = np.tile(tile.reshape(2, 2), (3, 4))
    assert np.unique(
        demosaic(values, pattern).reshape(-1, 3), axis=0
    ).tolist() == [[200, 90, 10]]
