"""A ragged region of a foreign texture."""

import numpy as np
import pytest

from anomedge.pipelines.synthetic.perlin import PerlinTexture, _noise


def test_a_plain_image_gets_a_texture():
    plain = np.full((64, 64, 3), 0.5, np.float32)
    for seed in range(5):
        drawn = PerlinTexture().draw(plain, np.random.default_rng(seed))
        changed = (drawn != plain).any(axis=2)
        assert 0 < changed.mean() < 0.5
        assert len(np.unique(drawn[changed], axis=0)) > 10


@pytest.mark.parametrize("cells", [1, 4, 33])
def test_noise_lies_around_zero_and_is_smooth(cells):
    noise = _noise((132, 99), cells, np.random.default_rng(0))
    assert noise.shape == (132, 99)
    assert np.abs(noise).max() <= 1
    assert abs(noise.mean()) < 0.35
    steps = max(np.abs(np.diff(noise, axis=axis)).max() for axis in (0, 1))
    assert 0 < steps < 4 * cells / 99
