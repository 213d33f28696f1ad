"""Brightness, contrast and sharpness against their formulas on all pixels."""

import numpy as np
import pytest

from anomedge.images.statistics import image_statistics


def every_pixel(frame):
    y = frame.astype(float) @ [0.299, 0.587, 0.114]
    inner = y[1:-1, 1:-1]
    laplacian = (
        y[:-2, 1:-1] + y[2:, 1:-1] + y[1:-1, :-2] + y[1:-1, 2:] - 4 * inner
    )
    return inner.mean(), inner.std(), laplacian.var()


def noise(height, width):
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_small_frame_is_measured_in_all_pixels():
    frame = noise(20, 31)
    assert image_statistics(frame) == pytest.approx(
        every_pixel(frame), rel=1e-4
    )


def test_a_large_frame_is_measured_on_a_grid():
    frame = noise(700, 900)
    assert image_statistics(frame) == pytest.approx(
        every_pixel(frame), rel=0.06
    )


def test_light_and_blur_change_the_figures():
    frame = noise(64, 64) // 2
    brighter = (frame * 1.3).astype(np.uint8)
    blurred = (frame[:-1].astype(int) + frame[1:]) // 2
    before = image_statistics(frame)
    after = image_statistics(brighter)
    assert after.brightness == pytest.approx(1.3 * before.brightness, rel=0.02)
    assert after.contrast == pytest.approx(1.3 * before.contrast, rel=0.02)
    assert (
        image_statistics(blurred.astype(np.uint8)).sharpness
        < 0.7 * before.sharpness
    )


@pytest.mark.parametrize("size", [(1, 1), (2, 50), (3, 3)])
def test_tiny_frames_have_statistics(size):
    found = image_statistics(np.full((*size, 3), 7, np.uint8))
    assert found == pytest.approx((7, 0, 0), abs=1e-3)
