"""Collect outputs in batches."""

import numpy as np
import pytest

from anomedge.errors import InputError
from anomedge.images import Picture
from anomedge.parity.outputs import collect


def test_an_empty_comparison_is_refused():
    with pytest.raises(InputError, match="no pictures"):
        collect(None, [], (4, 4), 1)


def test_the_last_batch_is_filled_up_with_the_first_pictures():
    pictures = [
        Picture(str(value), pixels=np.full((4, 4, 3), value, np.uint8))
        for value in range(5)
    ]

    class Brightness:
        name, batches = "mock", []

        def run(self, feed):
            scores = feed["frames"].mean(axis=(1, 2, 3)).astype(np.float32)
            self.batches.append(scores.tolist())
            return {"score": scores, "anomaly_map": scores.reshape(-1, 1, 1, 1)}

    session = Brightness()
    outputs = collect(session, pictures, (4, 4), 3)
    assert session.batches == [[0, 1, 2], [3, 4, 0]]
    assert outputs.score.tolist() == [0, 1, 2, 3, 4]
    assert outputs.anomaly_map.shape == (5, 1, 1, 1)
    assert outputs.at([4, 1]).score.tolist() == [4, 1]
