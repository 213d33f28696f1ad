"""Permutations and rotations of channels: how they are drawn and applied."""

import numpy as np
import pytest
import torch
from scipy import stats

from anomedge.components.flows.permutation import (
    mixed,
    random_permutation,
    random_rotation,
    reflected,
)


@pytest.mark.parametrize("size", [2, 3, 16])
def test_rotations_are_orthogonal_with_determinant_one(size, float64):
    for _ in range(20):
        rotation = random_rotation(size)
        torch.testing.assert_close(
            rotation @ rotation.T, torch.eye(size), rtol=0, atol=1e-12
        )
        assert torch.det(rotation).item() == pytest.approx(1, abs=1e-10)


def test_rotations_are_distributed_as_scipys(float64):
    torch.manual_seed(0)
    ours = np.stack([random_rotation(4).numpy() for _ in range(2000)])
    theirs = stats.special_ortho_group.rvs(4, size=2000, random_state=1)
    for quantity in (
        lambda w: np.trace(w, axis1=1, axis2=2),
        lambda w: w[:, 0, 0],
        lambda w: w[:, 3, 1],
    ):
        assert stats.ks_2samp(quantity(ours), quantity(theirs)).pvalue > 0.01


def test_permutations_are_each_equally_likely():
    torch.manual_seed(0)
    drawn = [
        tuple(random_permutation(3).argmax(dim=1).tolist()) for _ in range(3000)
    ]
    assert len(set(drawn)) == 6
    assert (
        stats.chisquare(np.unique(drawn, axis=0, return_counts=True)[1]).pvalue
        > 0.01
    )


def test_reflections_are_the_product_of_their_matrices(float64):
    w, vectors = random_permutation(5), torch.randn(3, 5)
    expected = w
    for v in vectors:
        expected = expected @ (torch.eye(5) - 2 * torch.outer(v, v) / v.dot(v))
    torch.testing.assert_close(
        reflected(w, vectors), expected, rtol=0, atol=1e-12
    )
    torch.testing.assert_close(
        expected @ expected.T, torch.eye(5), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("spatial", [(), (2,), (2, 3), (2, 3, 2)], ids=len)
def test_mixing_is_a_product_at_every_pixel(spatial, float64):
    w, x = torch.randn(4, 4), torch.randn(3, 4, *spatial)
    expected = torch.einsum("ij,bjp->bip", w, x.reshape(3, 4, -1)).reshape(
        x.shape
    )
    torch.testing.assert_close(
        mixed(x, w.reshape(4, 4, *[1] * len(spatial))),
        expected,
        rtol=0,
        atol=1e-12,
    )
