"""A patch of the image, pasted elsewhere."""

import numpy as np
import pytest

from anomedge.pipelines.synthetic.cut_paste import CutPaste
from tests.pipelines.synthetic.noise import image_of


@pytest.mark.parametrize("size", [(48, 56), (32, 90)])
def test_one_rectangle_changes(size):
    image = image_of(0, size)
    for seed in range(20):
        drawn = CutPaste().draw(image, np.random.default_rng(seed))
        changed = (drawn != image).any(axis=2)
        rows, columns = changed.any(axis=1), changed.any(axis=0)
        (places,) = np.nonzero(rows)
        height = places[-1] - places[0] + 1
        (places,) = np.nonzero(columns)
        width = places[-1] - places[0] + 1
        assert changed.sum() >= 0.99 * height * width
        assert 0.01 < height * width / image[..., 0].size < 0.12


def test_colours_of_a_plain_image_shift_by_a_tenth_at_most():
    plain = np.full((48, 56, 3), 0.5, np.float32)
    for seed in range(10):
        change = CutPaste().draw(plain, np.random.default_rng(seed)) - plain
        shifted = change[(change != 0).any(axis=2)]
        assert np.abs(shifted).max() <= 0.1 + 1e-6
        assert np.allclose(shifted, shifted[0], atol=1e-6)


def test_a_tiny_image_takes_a_patch():
    image = image_of(0, (4, 4))
    drawn = CutPaste().draw(image, np.random.default_rng(0))
    assert drawn.shape == image.shape
    assert (drawn != image).any()
