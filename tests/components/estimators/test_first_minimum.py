"""The minimum and its first column, for rows of any length."""

import pytest
import torch

from anomedge.components.estimators.first_minimum import BLOCK, first_minimum


@pytest.mark.parametrize("n", [1, 63, 64, 65, 192])
def test_it_is_that_of_argmin(n):
    values = torch.randint(0, 9, (50, n)).float()
    zeros = torch.zeros((1, 1, BLOCK), dtype=torch.int64)
    least, places = first_minimum(values, zeros)
    assert torch.equal(least, values.amin(dim=1))
    first = (values == least[:, None]).int().argmax(dim=1)
    assert torch.equal(places, first)
