"""The budget of a file: memory of its values, and bytes of its tensors."""

import pytest

from anomedge.interop.archive.limits import Budget, Refused

MB = 1 << 20


@pytest.mark.parametrize("size", [0, 100 * MB])
def test_values_take_at_most_twice_the_file_and_40_mb(size):
    budget = Budget(size)
    budget.charge(2 * size)
    budget.charge(40 * MB)
    with pytest.raises(Refused, match="twice the file and 64 MB"):
        budget.charge(1)


def test_tensors_take_at_most_eight_times_the_file_and_64_mb():
    budget = Budget(MB)
    budget.charge_tensor(8 * MB)
    budget.charge_tensor(64 * MB)
    with pytest.raises(Refused, match="over 8 times its size"):
        budget.charge_tensor(1)


def test_values_and_tensors_are_counted_apart():
    budget = Budget(0)
    budget.charge_tensor(64 * MB)
    budget.charge(40 * MB)
    with pytest.raises(Refused):
        budget.charge(1)
