"""Bounds of the head's quantities: they hold, and are no larger than they must be."""

import pytest
import torch
from torch import nn

from anomedge.components import MemoryBank, MultiVariateGaussian
from anomedge.export.precision.bounds import FeatureRange, bounds_of
from tests.export.precision.ranges import by_name


@pytest.mark.parametrize("seed", range(3))
def test_a_gaussians_bounds_hold(seed):
    generator = torch.Generator().manual_seed(seed)
    gaussian = MultiVariateGaussian(5, 300)
    gaussian.fit(torch.randn(20, 5, 15, 20, generator=generator) * 3)
    reach = FeatureRange(-2 * torch.ones(5), torch.arange(5.0), 0.0, 0.01)
    features = reach.low[:, None] + (reach.high - reach.low)[
        :, None
    ] * torch.rand(64, 5, 300, generator=generator)
    bounds = by_name(bounds_of(gaussian, "g", reach))
    centred = features - gaussian.mean
    whitened = torch.einsum("pij,bjp->bip", gaussian.whitening, centred)
    assert centred.abs().max() <= bounds["g: x - mean"].bound
    assert whitened.abs().max() <= bounds["g: W (x - mean)"].bound
    assert (
        gaussian.distance(features).square().max()
        <= bounds["g: |W (x - mean)|^2"].bound
    )


def test_a_gaussians_bounds_are_no_larger_than_they_must():
    """Of one feature they are reached."""
    gaussian = MultiVariateGaussian(1, 2)
    gaussian.fit(
        torch.tensor([1.0, 3.0, 5.0]).reshape(3, 1, 1, 1).expand(3, 1, 1, 2)
    )
    bounds = by_name(
        bounds_of(
            gaussian,
            "g",
            FeatureRange(torch.tensor([-4.0]), torch.tensor([8.0]), 0.0, 0.01),
        )
    )
    exact = float(gaussian.distance(torch.full((1, 1, 2), -4.0)).square().max())
    assert exact <= bounds["g: |W (x - mean)|^2"].bound <= 1.002 * exact


@pytest.mark.parametrize("seed", range(3))
def test_a_banks_bounds_hold(seed):
    generator = torch.Generator().manual_seed(seed)
    bank = MemoryBank(40, 6)
    bank.fill(torch.randn(40, 6, generator=generator) * 2 + 1)
    reach = FeatureRange(-3 * torch.ones(6), torch.arange(6.0), 1.0, 0.01)
    patches = reach.low + (reach.high - reach.low) * torch.rand(
        500, 6, generator=generator
    )
    bounds = by_name(bounds_of(bank, "b", reach))
    centred, vectors = patches - bank.centre, bank.vectors
    products, squares = (
        centred @ vectors.T,
        torch.cdist(centred, vectors).square(),
    )
    halves = vectors.square().sum(dim=1) / 2
    assert centred.abs().max() <= bounds["b: x - centre"].bound
    assert products.abs().max() <= bounds["b: x v"].bound
    assert (halves - products).abs().max() <= bounds["b: |v|^2 / 2 - x v"].bound
    assert squares.max() <= bounds["b: |x - v|^2"].bound
    assert halves.max() <= 1.001 * bounds["b: |v|^2 / 2"].bound


def test_components_that_are_not_known_have_no_bounds():
    assert (
        bounds_of(
            nn.Linear(2, 2),
            "l",
            FeatureRange(torch.zeros(2), torch.ones(2), 0.0, 0.01),
        )
        == []
    )
