"""Laws of all synthetic defects."""

import numpy as np
import pytest

from anomedge.pipelines.synthetic import SYNTHETIC_DEFECTS, plant
from tests.pipelines.synthetic.noise import image_of


@pytest.mark.parametrize("name", SYNTHETIC_DEFECTS.names())
@pytest.mark.parametrize("size", [(48, 56), (32, 90)])
def test_synthetic_defects_are_seen_seeded_and_in_range(name, size):
    member, image = SYNTHETIC_DEFECTS.get(name)(), image_of(0, size)
    before = image.copy()
    planted, again = (
        plant(member, image, np.random.default_rng(3)) for _ in range(2)
    )
    assert np.array_equal(planted, again)
    assert np.array_equal(image, before)
    assert planted.shape == image.shape
    assert planted.dtype == np.float32
    assert 0 <= planted.min() <= planted.max() <= 1
    changed = (planted != image).any(axis=2).mean()
    assert 0 < changed < 0.5


@pytest.mark.parametrize("name", SYNTHETIC_DEFECTS.names())
def test_synthetic_defects_stay_inside_a_region(name):
    member, image = SYNTHETIC_DEFECTS.get(name)(), image_of(0)
    inside = np.zeros(image.shape[:2], bool)
    inside[:, :40] = True
    for seed in range(5):
        generator = np.random.default_rng(seed)
        planted = plant(member, image, generator, inside)
        changed = (planted != image).any(axis=2)
        assert changed.any()
        assert not (changed & ~inside).any()


def test_directory_is_the_registry_of_synthetic_defects():
    assert SYNTHETIC_DEFECTS.names() == [
        "blur",
        "brightness",
        "cut-paste",
        "perlin",
        "scratch",
    ]
