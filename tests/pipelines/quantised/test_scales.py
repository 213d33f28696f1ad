"""Short scales: neighbours, the better one for weights, biases on the grid, and sums without rounding."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anomedge.pipelines.quantised.scales import (
    is_short,
    neighbours,
    on_grid,
    weight_scales,
)

SHORT = [m * 2.0**k for k in range(-20, 20) for m in (1.0, 1.5)]
POSITIVE = st.floats(1e-30, 1e30)


def neighbours_of(value):
    below, above = neighbours(torch.tensor(value, dtype=torch.float64))
    return float(below), float(above)


@given(POSITIVE)
def test_neighbours_are_short_and_enclose_the_value(value):
    below, above = neighbours_of(value)
    assert below <= value <= above
    assert is_short(below) and is_short(above)
    assert above <= 1.5 * below
    assert (below == above) == is_short(value)


@pytest.mark.parametrize("value", SHORT)
def test_a_short_scale_is_its_own_neighbour(value):
    assert neighbours_of(value) == (value, value)


@given(st.sampled_from(SHORT), st.integers(-300, 300))
def test_division_and_multiplication_by_the_reciprocal_round_alike(scale, half):
    """Runtimes do one or the other; the middle between two levels, where they could differ, is exact in both."""
    x = torch.tensor(half * scale / 2, dtype=torch.float32)
    step = torch.tensor(scale, dtype=torch.float32)
    assert (x / step).round() == (x * step.reciprocal()).round()


@pytest.mark.parametrize("count", [9, 576, 4608])
def test_sums_of_products_do_not_depend_on_their_order(count):
    generator = torch.Generator().manual_seed(count)
    shape, s = (count,), 1.5 / 64
    q = torch.randint(-128, 128, shape, generator=generator) * s
    weights = torch.randn(1, count, generator=generator)
    t = weight_scales(weights, None, s)
    v = (weights[0] / t).round().clamp(-127, 127) * t
    exact = math.fsum((q.double() * v.double()).tolist())
    for _ in range(5):
        order = torch.randperm(count, generator=generator)
        total = torch.zeros(())
        for term in (q * v)[order]:
            total = total + term
        assert float(total) == exact


def test_the_scale_of_weights_has_the_least_error_of_both_neighbours():
    weights = torch.randn(64, 200, generator=torch.Generator().manual_seed(0))
    found = weight_scales(weights, None, 1.0).double()
    largest = weights.double().abs().amax(dim=1) / 127
    errors = {}
    for name, scales in zip(
        ("below", "above"), neighbours(largest), strict=True
    ):
        column = scales.unsqueeze(1)
        levels = (weights.double() / column).round().clamp(-127, 127)
        errors[name] = (levels * column - weights).square().sum(dim=1)
    below, above = neighbours(largest)
    better = torch.where(errors["below"] < errors["above"], below, above)
    assert torch.equal(found, better)
    assert (found == below).any() and (found == above).any()


def test_a_bias_far_above_its_weights_keeps_its_value():
    """Units of the weights alone would need more bits than a bias has."""
    weights, bias = torch.tensor([[1e-9, -1e-9]]), torch.tensor([0.7])
    scales = weight_scales(weights, bias, 0.25)
    kept = on_grid(bias, 0.25 * scales)
    assert float((kept - bias).abs()) < 1e-6
    assert float(bias / (0.25 * scales)) <= 1 << 22


def test_a_channel_of_zeros_has_a_scale():
    assert (weight_scales(torch.zeros(2, 3), None, 1.0) > 0).all()


def test_arguments_stay_as_they_are():
    weights, bias = torch.randn(3, 4), torch.randn(3)
    before = weights.clone(), bias.clone()
    on_grid(bias, weight_scales(weights, bias, 0.5))
    assert torch.equal(weights, before[0]) and torch.equal(bias, before[1])
