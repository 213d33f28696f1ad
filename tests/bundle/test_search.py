"""The record of an INT8 search."""

import pytest
from pydantic import ValidationError

from anomedge.bundle import Int8Search


@pytest.mark.parametrize(
    "wrong",
    [{"candidates": 0}, {"limit": 128}, {"limit": 0}, {"bytes": -1}, {"x": 1}],
)
def test_impossible_records_are_refused(wrong):
    given = {"candidates": 8, "limit": 127, "bytes": 10}
    Int8Search(**given)
    with pytest.raises(ValidationError):
        Int8Search(**(given | wrong))
