"""Leaving observations out of a Gaussian equals fitting one to the others."""

import pytest
import torch

from anomedge.components import MultiVariateGaussian, RunningMoments
from anomedge.components.estimators.gaussian_without import GaussianFolds
from anomedge.errors import InputError

FEATURES, PATCHES = 6, 5


def observations(count, scale=1.0):
    generator = torch.Generator().manual_seed(count)
    return scale * torch.randn(count, FEATURES, PATCHES, generator=generator)


def moments_of(x):
    moments = RunningMoments(FEATURES, PATCHES)
    moments.update(x)
    return moments


def fitted_to(x):
    gaussian = MultiVariateGaussian(FEATURES, PATCHES)
    gaussian.fit_moments(moments_of(x))
    return gaussian


@pytest.mark.parametrize("count", [4, 30])
@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_distances_are_those_of_a_fit_to_the_others(count, scale):
    x = observations(count, scale) + 3 * scale
    asked = torch.cat([x, observations(7, 2 * scale)])
    folds = GaussianFolds(moments_of(x))
    for left_out in ([0], [2], [1, 2], [0, 3], [3]):
        others = [i for i in range(count) if i not in left_out]
        torch.testing.assert_close(
            folds.without(x[left_out]).distance(asked),
            fitted_to(x[others]).distance(asked),
            rtol=1e-4,
            atol=1e-4,
        )


@pytest.mark.parametrize("left_out", [[], [0, 1, 2]])
def test_two_observations_must_be_left(left_out):
    x = observations(4)
    with pytest.raises(InputError, match="two others"):
        GaussianFolds(moments_of(x)).without(x[left_out])
