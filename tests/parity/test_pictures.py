"""Extreme and synthetic pictures."""

import numpy as np

from anomedge.parity.pictures import extremes, synthetic


def test_synthetic_and_extreme_frames_are_deterministic():
    for make in (extremes, synthetic):
        one, two = make((16, 24)), make((16, 24))
        assert all(
            np.array_equal(a.frame(), b.frame())
            for a, b in zip(one, two, strict=True)
        )
        assert {p.frame().shape for p in one} == {(16, 24, 3)}
