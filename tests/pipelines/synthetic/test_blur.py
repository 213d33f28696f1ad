"""A blurred ellipse."""

import numpy as np

from anomedge.pipelines.synthetic.blur import Blur
from tests.pipelines.synthetic.noise import image_of


def test_a_plain_surface_stays_plain():
    plain = np.full((48, 56, 3), 0.3, np.float32)
    drawn = Blur().draw(plain, np.random.default_rng(0))
    assert np.allclose(drawn, plain, atol=1e-6)


def test_contrast_falls_inside_and_stays_outside():
    image = image_of(0)
    for seed in range(10):
        drawn = Blur().draw(image, np.random.default_rng(seed))
        changed = (drawn != image).any(axis=2)
        assert changed.any()
        assert not changed.all()
        assert drawn[changed].std() < image[changed].std()
        assert image.min() <= drawn.min()
        assert drawn.max() <= image.max()
