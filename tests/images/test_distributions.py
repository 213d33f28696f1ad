"""Distributions of pictures: their number, and their size."""

import numpy as np
import pytest

from anomedge.images import Picture
from anomedge.images.distributions import distributions_of_pictures


def pictures(count, size=(3, 4)):
    return [
        Picture(f"{i}.png", pixels=np.full((*size, 3), i % 256, np.uint8))
        for i in range(count)
    ]


def test_each_picture_is_measured():
    found = distributions_of_pictures(np.array([2.0, 1.0]), pictures(2))
    assert (found.count, found.size, found.scores) == (2, (3, 4), (1.0, 2.0))
    assert found.brightness == pytest.approx((0, 1), abs=1e-4)
    assert found.contrast == found.sharpness == (0.0, 0.0)


def test_of_many_pictures_some_are_measured():
    found = distributions_of_pictures(np.arange(600.0), pictures(600))
    assert (found.count, len(found.scores)) == (600, 256)
    assert len(found.brightness) == 200


def test_several_sizes_are_no_size():
    mixed = pictures(2) + pictures(1, (5, 5))
    assert distributions_of_pictures(np.arange(3.0), mixed).size is None


def test_no_pictures_of_scores_have_no_image_statistics():
    found = distributions_of_pictures(np.array([1.0]), [])
    assert (found.size, found.brightness) == (None, ())
