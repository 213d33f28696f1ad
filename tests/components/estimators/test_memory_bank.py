"""Nearest neighbours in a memory bank."""

import pytest
import torch

from anomedge.components import MemoryBank
from anomedge.errors import InputError


def test_a_patch_that_is_in_the_bank_has_distance_zero():
    """A product's own distance cancels here: its square is off by 1e-3 of the norm's, a subtraction is not."""
    vectors = torch.randn(500, 64) + 30
    bank = MemoryBank(500, 64)
    bank.fill(vectors)
    distances, rows = bank.nearest(vectors)
    assert rows.tolist() == list(range(500))
    assert float(distances.max()) < 1e-4


def test_one_neighbour_leaves_the_score():
    bank = MemoryBank(10, 3, num_neighbors=1)
    bank.fill(torch.randn(10, 3))
    distances, score = bank([torch.randn(2, 3, 4, 5)])
    assert score.tolist() == distances.amax(dim=1).tolist()


@pytest.mark.parametrize("count", [1, 7, 1023, 1024, 1025, 2112, 4200])
def test_the_first_of_equal_vectors_is_chosen(count):
    """The result is that of a plain argmin for all parts and blocks."""
    generator = torch.Generator().manual_seed(0)
    bank = MemoryBank(count, 2)
    bank.fill(torch.ones(count, 2))
    _, rows = bank.nearest(torch.randn(5, 2, generator=generator))
    assert rows.tolist() == [0] * 5
    # Nearly equal points could be confused by rounding; these are not.
    points = torch.randn(count, 2, generator=generator)
    bank.fill(points)
    _, rows = bank.nearest(points)
    assert rows.tolist() == list(range(count))
    torch.testing.assert_close(bank.vectors + bank.centre, points)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: MemoryBank(0, 3),
        lambda: MemoryBank(4, []),
        lambda: MemoryBank(4, [2, 1], upsample=[None]),
        lambda: MemoryBank(4, 3).fill(torch.zeros(4, 2)),
        lambda: MemoryBank(4, 3).fill(torch.full((4, 3), torch.inf)),
    ],
)
def test_what_has_no_coreset_is_refused(wrong):
    with pytest.raises(InputError, match="expected"):
        wrong()
