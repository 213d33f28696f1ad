"""The record of a quantisation: strict, and enough to rebuild the networks."""

import pytest
import torch
from pydantic import ValidationError

from anomedge.errors import ModelError
from anomedge.pipelines.quantised.record import (
    Quantisation,
    float_networks,
    quantised_networks,
)
from tests.pipelines.brightness import detector
from tests.pipelines.quantised.networks import GEOMETRY

FIELDS = {
    "float_model": "f" * 64,
    "scales": {"net": {"weight": 0.125}},
    "pictures": 3,
    "refitted": True,
    "compared": 9,
    "flips": 0,
    "auroc_drop": -0.5,
    "rounding": 0.0,
}
IMAGES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "wrong",
    [
        {"scales": {"net": {"weight": 0.0}}},
        {"scales": {"net": {"weight": float("inf")}}},
        {"scales": {"net": {"weight": -0.1}}},
        {"pictures": 0},
        {"flips": -1},
        {"auroc_drop": float("nan")},
        {"rounding": -1.0},
        {"unknown": 1},
    ],
)
def test_values_out_of_range_are_refused(wrong):
    Quantisation(**FIELDS)
    with pytest.raises(ValidationError):
        Quantisation(**(FIELDS | wrong))


def test_float_networks_are_found_again():
    made = detector()
    networks = quantised_networks(made, GEOMETRY, FIELDS["scales"])
    twin = made.with_networks(networks)
    assert not torch.equal(twin(IMAGES).score, made(IMAGES).score)
    back = float_networks(twin)
    assert back.net is made.net
    assert float_networks(made).net is made.net


def test_networks_without_scales_stay_in_float32():
    made = detector()
    networks = quantised_networks(made, GEOMETRY, {})
    twin = made.with_networks(networks)
    assert torch.equal(twin(IMAGES).score, made(IMAGES).score)


def test_a_layer_of_another_network_is_refused():
    with pytest.raises(ModelError, match="quantise the float model again"):
        quantised_networks(detector(), GEOMETRY, {"net": {"other": 0.1}})
