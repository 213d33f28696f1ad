"""Rows of levels, and products on the finest grid."""

import torch

from anomedge.components import LinearResample2d
from anomedge.components.estimators.levels import (
    rows_of,
    rows_on_finest,
)
from anomedge.resample import bilinear


def step():
    return LinearResample2d(bilinear(3, 6), bilinear(2, 5))


def test_rows_go_place_by_place():
    x = torch.arange(12.0).reshape(1, 2, 3, 2)
    assert rows_of(x)[0, 1].tolist() == [1, 7]


def test_rows_on_the_finest_grid_are_those_of_the_upsampled_level():
    x = torch.randn(2, 4, 3, 2)
    expected = rows_of(step()(x))
    torch.testing.assert_close(rows_on_finest(x, step()), expected)
    assert torch.equal(rows_on_finest(x, torch.nn.Identity()), rows_of(x))
