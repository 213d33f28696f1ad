"""Float32 planes, RGB, 0 to 255."""

import numpy as np

from anomedge.layouts.nchw_rgb_255 import NchwRgb255


def test_a_red_pixel_of_half_the_range():
    frames = np.zeros((1, 1, 2, 3), np.uint8)
    frames[0, 0, 0, 0] = 51
    (planes,) = NchwRgb255.feed(frames).values()
    assert planes.shape == (1, 3, 1, 2)
    assert planes.dtype == np.float32
    found = np.argwhere(planes)
    assert found.tolist() == [[0, 0, 0, 0]]
    assert planes.max() == np.float32(51)
