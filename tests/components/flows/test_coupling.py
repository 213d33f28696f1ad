"""Affine coupling, and subnets that do not fit."""

import pytest
import torch
from torch import nn

from anomedge.components.flows.coupling import affine_coupling
from anomedge.errors import InputError
from tests.components.flows.cases import block


@pytest.mark.parametrize("gin", [False, True])
def test_half_the_channels_are_scaled_and_shifted(gin, float64):
    x, a = torch.randn(2, 3, 4), 10 * torch.randn(2, 6, 4)
    log_scale = 1.5 * torch.tanh(a[:, :3] / 10)
    if gin:
        log_scale = log_scale - log_scale.mean(dim=(1, 2), keepdim=True)
    y, log_jacobian = affine_coupling(x, a, 1.5, gin=gin, rev=False)
    expected = x * log_scale.exp() + a[:, 3:] / 10
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        log_jacobian, log_scale.sum(dim=(1, 2)), rtol=0, atol=1e-12
    )
    again, back = affine_coupling(y, a, 1.5, gin=gin, rev=True)
    torch.testing.assert_close(again, x, rtol=0, atol=1e-12)
    assert torch.equal(back, -log_jacobian)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (
            lambda: block(subnet_constructor=lambda i, o: nn.Conv2d(i, o, 2))(
                [torch.zeros(1, 4, 2, 2)]
            ),
            "from the subnet",
        ),
        (
            lambda: block(subnet_constructor=lambda i, o: nn.Conv2d(i, 3, 1))(
                [torch.zeros(1, 4, 2, 2)]
            ),
            "from the subnet",
        ),
        (
            lambda: block([(18, 8)], subnet_constructor=nn.Linear)(
                [torch.zeros(3, 18, 8)]
            ),
            r"a subnet that fails on \(3, 9, 8\) \(mat1 .*; expected one that gives \(3, 18, 8\)",
        ),
        (
            lambda: block([(18, 9)], subnet_constructor=nn.Linear)(
                [torch.zeros(3, 18, 9)]
            ),
            r"got \(3, 9, 18\) from the subnet for \(3, 9, 9\); expected \(3, 18, 9\)",
        ),
        (
            lambda: block(
                subnet_constructor=lambda i, _: nn.Conv2d(i + 1, 4, 1)
            )([torch.zeros(1, 4, 2, 2)]),
            r"fails on \(1, 2, 2, 2\) .*expected one that gives \(1, 4, 2, 2\)",
        ),
        (
            lambda: block(subnet_constructor=lambda i, _: nn.BatchNorm1d(i))(
                [torch.zeros(1, 4, 2, 2)]
            ),
            "fails on .*expected 2D or 3D input",
        ),
        (
            lambda: block(subnet_constructor=lambda *_: nn.Flatten())(
                [torch.zeros(1, 4, 2, 2)]
            ),
            r"got \(1, 8\) from the subnet",
        ),
        (
            lambda: block(subnet_constructor=lambda *_: nn.Flatten(0, 1))(
                [torch.zeros(1, 4, 2, 2)]
            ),
            r"got \(2, 2, 2\) from the subnet",
        ),
        (
            lambda: block(
                subnet_constructor=lambda *_: (
                    lambda x: torch.cat([x, x], dim=1)[:1]
                )
            )([torch.zeros(3, 4, 2, 2)]),
            r"got \(1, 4, 2, 2\) from the subnet .*expected \(3, 4, 2, 2\)",
        ),
        (
            lambda: block(subnet_constructor=lambda *_: lambda x: (x, x))(
                [torch.zeros(3, 4, 2, 2)]
            ),
            "got tuple from the subnet",
        ),
        (
            lambda: block([(18, 8)], subnet_constructor=nn.Linear)(
                [torch.zeros(3, 18, 8)], rev=True
            ),
            r"expected one that gives \(3, 18, 8\)",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(wrong, match):
    with pytest.raises(InputError, match=match) as caught:
        wrong()
    assert "\n" not in str(caught.value)
