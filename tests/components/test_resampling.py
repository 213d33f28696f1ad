"""Resampling as products: the order of two products, dtypes, and blocks of rows."""

import pytest
import torch

from anomedge.components import LinearResample2d
from anomedge.components.resampling import BandedRows
from anomedge.resample import bilinear


@pytest.mark.parametrize(
    ("rows", "columns"), [((4, 9), (9, 4)), ((9, 4), (4, 9))]
)
def test_either_order_gives_both_products(rows, columns, float64):
    """The cheaper order begins with the axis that shrinks."""
    tall, wide = bilinear(*rows), bilinear(*columns)
    x = torch.randn(2, 3, rows[0], columns[0])
    expected = torch.from_numpy(tall) @ x @ torch.from_numpy(wide).T
    produced = LinearResample2d(tall, wide)(x)
    torch.testing.assert_close(produced, expected, rtol=0, atol=1e-12)


def test_integers_are_resampled_in_the_default_dtype():
    resample = LinearResample2d(bilinear(2, 3), bilinear(2, 3))
    x = torch.tensor([[[[0, 8], [4, 12]]]])
    assert resample(x).dtype == torch.float32
    assert torch.equal(resample(x), resample(x.float()))
    assert resample(x.double()).dtype == torch.float64


def test_matrices_are_not_part_of_the_state():
    resample = LinearResample2d(bilinear(2, 3), bilinear(4, 5))
    assert resample.state_dict() == {}
    assert repr(resample) == "LinearResample2d(2x4 -> 3x5)"


@pytest.mark.parametrize("n_out", [1, 15, 16, 17, 32])
def test_blocks_of_rows_are_the_whole_product(n_out, float64):
    matrix = bilinear(50, n_out, antialias=True)
    x = torch.randn(2, 50, 3)
    produced = BandedRows(matrix)(x)
    expected = torch.from_numpy(matrix) @ x
    torch.testing.assert_close(produced, expected, rtol=0, atol=1e-12)
