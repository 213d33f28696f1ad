"""Frames and the outputs that the fake engine gives for them."""

import numpy as np

from tests.runtimes.fake_tensorrt import expected

RNG = np.random.default_rng(0)


def frames(count):
    return RNG.integers(0, 256, (count, 4, 6, 3), dtype=np.uint8)


def check(outputs, images):
    np.testing.assert_allclose(
        outputs["score"], expected(images, (len(images),)), rtol=1e-6
    )
    np.testing.assert_allclose(
        outputs["anomaly_map"],
        expected(images, (len(images), 1, 2, 3)),
        rtol=1e-6,
    )
    assert outputs["score"].dtype == np.float32
