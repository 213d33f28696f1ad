"""Noise of a product, its order, and how many products stay in float32."""

import pytest
import torch

from anomedge.pipelines.quantised.noise import (
    Effect,
    count_noisiest,
    maps_of,
    noise,
)
from tests.pipelines.brightness import WithoutMap, detector

IMAGES = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def effects(*multiplications):
    return [Effect(0.1, "net", "weight", each) for each in multiplications]


def test_noise_is_the_spread_around_the_mean_change_of_each_pixel():
    exact = torch.zeros(2, 1, 1, 2)
    changed = torch.tensor([[5.0, 1.0], [5.0, 3.0]]).reshape(2, 1, 1, 2)
    # The second pixel changes by 2 -+ 1, the first one by 5 in both images.
    assert noise(exact, changed, scale=1.0) == pytest.approx(0.5**0.5)
    assert noise(exact, changed, scale=4.0) == pytest.approx(0.5**0.5 / 4)


def test_cheap_products_come_first_at_equal_noise():
    cheap, dear = effects(10, 1000)
    assert cheap.variance_per_multiplication == pytest.approx(0.001)
    assert dear.variance_per_multiplication < cheap.variance_per_multiplication


@pytest.mark.parametrize(
    ("multiplications", "count"),
    [((100,), 0), ((20, 80), 0), ((10, 5, 85), 2), ((5, 50, 1, 44), 1)],
)
def test_float32_takes_at_most_its_share(multiplications, count):
    assert count_noisiest(effects(*multiplications)) == count


def test_maps_are_those_of_all_batches_and_scores_where_there_are_none():
    made = detector()
    maps = maps_of(made, None, [IMAGES[:3], IMAGES[3:]])
    assert torch.allclose(maps, made(IMAGES).anomaly_map, atol=1e-6)
    alone = WithoutMap(made.config, net=made.net)
    assert maps_of(alone, None, [IMAGES]).shape == (4,)
