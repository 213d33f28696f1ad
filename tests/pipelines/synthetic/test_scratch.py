"""A thin bent line."""

import numpy as np

from anomedge.pipelines.synthetic.scratch import Scratch


def test_a_scratch_is_long_and_thin():
    image = np.full((100, 120, 3), 0.5, np.float32)
    for seed in range(20):
        drawn = Scratch().draw(image, np.random.default_rng(seed))
        changed = (drawn != image).any(axis=2)
        rows, columns = np.nonzero(changed)
        longest = max(np.ptp(rows), np.ptp(columns))
        # Its centre lies at least 0.15 inside, so half of it is seen.
        assert longest > 10
        assert changed.sum() < 6 * 80
        assert np.abs(drawn - image).max() >= 0.3 - 1e-6


def test_a_scratch_has_one_contrast():
    image = np.full((100, 120, 3), 0.5, np.float32)
    change = Scratch().draw(image, np.random.default_rng(0)) - image
    assert len({*np.sign(change[change != 0]).tolist()}) == 1
