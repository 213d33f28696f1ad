"""Images of noise to plant defects in."""

import numpy as np


def image_of(seed, size=(48, 56)):
    generator = np.random.default_rng(seed)
    return generator.uniform(0.2, 0.8, (*size, 3)).astype(np.float32)
