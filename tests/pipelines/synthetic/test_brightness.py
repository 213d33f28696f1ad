"""A brighter or darker ellipse."""

import numpy as np

from anomedge.pipelines.synthetic.brightness import Brightness


def test_the_middle_changes_by_the_amount_in_all_colours():
    image = np.full((48, 56, 3), 0.5, np.float32)
    signs = set()
    for seed in range(20):
        change = Brightness().draw(image, np.random.default_rng(seed)) - image
        largest = change.flat[np.abs(change).argmax()]
        assert 0.2 - 1e-6 <= abs(largest) <= 0.5 + 1e-6
        assert (np.sign(change[change != 0]) == np.sign(largest)).all()
        assert np.allclose(change[..., 0], change[..., 2])
        signs.add(float(np.sign(largest)))
    assert signs == {-1.0, 1.0}
