"""Shapes that synthetic defects share, and defects that are drawn until they are visible."""

import numpy as np
import pytest

from anomedge.pipelines.synthetic.base import (
    SyntheticDefect,
    ellipse,
    mix,
    plant,
)
from tests.pipelines.synthetic.noise import image_of


class Growing(SyntheticDefect):
    """The n-th draw adds n times a step to all pixels."""

    name = "growing"

    def __init__(self, step):
        self.step, self.draws = step, 0

    def draw(self, image, _):
        self.draws += 1
        return image + np.float32(self.step * self.draws)


class Corner(SyntheticDefect):
    """Blacken the left columns."""

    name = "corner"

    def draw(self, image, _):
        drawn = image.copy()
        drawn[:, :10] = 0
        return drawn


@pytest.mark.parametrize(
    ("step", "draws", "change"),
    [(0.06, 1, 0.06), (0.02, 3, 0.06), (0.005, 8, 0.04), (0.0001, 8, None)],
)
def test_a_defect_is_drawn_until_it_is_visible(step, draws, change):
    defect, image = Growing(step), image_of(0)
    planted = plant(defect, image, np.random.default_rng(0))
    assert defect.draws == draws
    if change is not None:
        assert np.allclose(planted - image, change, atol=1e-6)


@pytest.mark.parametrize(("columns", "seen"), [(10, 10), (6, 6), (4, 0)])
def test_a_defect_mostly_outside_the_region_is_none(columns, seen):
    image = image_of(0)
    inside = np.zeros(image.shape[:2], bool)
    inside[:, :columns] = True
    planted = plant(Corner(), image, np.random.default_rng(0), inside)
    changed = (planted != image).any(axis=2)
    assert changed[:, :seen].all()
    assert not changed[:, seen:].any()


@pytest.mark.parametrize("shape", [(48, 56, 3), (20, 90, 3)])
def test_an_ellipse_is_soft_and_of_the_lengths_asked_for(shape):
    for seed in range(20):
        share = ellipse(shape, np.random.default_rng(seed), 0.2, 0.3)
        assert share.shape == (*shape[:2], 1)
        assert share.min() == 0
        assert share.max() == 1
        assert ((share > 0) & (share < 1)).any()
        side = min(shape[:2])
        assert (share > 0).sum() <= np.pi * (1.15 * 0.3 * side + 1) ** 2


def test_mixing_is_linear_and_clipped():
    image = np.full((2, 2, 3), 0.5, np.float32)
    assert np.allclose(mix(image, image + 0.2, 0.5), 0.6)
    assert np.allclose(mix(image, image - 2, 1), 0)
    assert np.allclose(mix(image, image + 2, 1), 1)
    assert np.array_equal(mix(image, 9.0, 0), image)
    assert mix(image, np.zeros((2, 2, 3)), 0.3).dtype == np.float32
