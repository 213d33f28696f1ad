import math

import pytest
import torch

from anomedge.interop.anomalib.models.cflow import (
    MapOfEachImage,
    position_encoding,
)


def likelihoods(batch):
    generator = torch.Generator().manual_seed(3)
    return [
        torch.randn(4 * h * w, generator=generator)[: batch * h * w]
        for h, w in ((4, 6), (2, 3))
    ]


def test_map_of_an_image_does_not_depend_on_the_batch():
    generate = MapOfEachImage()
    shape = {"height": [4, 2], "width": [6, 3], "image_size": (8, 12)}
    together = generate(distribution=likelihoods(4), **shape)
    alone = generate(distribution=likelihoods(1), **shape)
    assert together.shape == (4, 8, 12)
    torch.testing.assert_close(together[:1], alone)


def test_map_of_one_image_is_that_of_the_paper():
    (level,) = likelihoods(1)[:1]
    found = MapOfEachImage()([level], [4], [6], (4, 6))
    likelihood = torch.exp(level - level.max()).reshape(1, 4, 6)
    torch.testing.assert_close(found, likelihood.max() - likelihood)


def test_positions_are_sines_and_cosines_of_columns_then_rows():
    encoding = position_encoding(8, 3, 5)
    assert encoding.shape == (8, 3, 5)
    for channel, (wave, rate) in enumerate(
        [(math.sin, 1.0), (math.cos, 1.0), (math.sin, 0.01), (math.cos, 0.01)]
    ):
        assert encoding[channel, 2, 4] == pytest.approx(wave(4 * rate))
        assert encoding[4 + channel, 2, 4] == pytest.approx(wave(2 * rate))
