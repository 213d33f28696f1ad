"""Value ranges: whether a quantity fits into float16."""

import pytest
import torch
from pydantic import ValidationError

from anomedge.bundle import ranges


def test_float16s_numbers():
    numbers = torch.finfo(torch.float16)
    assert (numbers.max, numbers.smallest_normal) == (
        ranges.LARGEST,
        ranges.LEAST,
    )


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ({"seen": 16376.0}, "fits"),
        ({"seen": 16377.0}, "may overflow"),
        ({"seen": 65505.0}, "overflows"),
        ({"seen": 65504.0, "bound": 65504.0}, "fits"),
        ({"seen": 1.0, "bound": 65505.0}, "may overflow"),
        ({"bound": 1.0, "least": 6e-5}, "underflows"),
        ({"bound": 1.0, "least": 6.2e-5}, "fits"),
        ({"bound": 1e9, "least": 6e-5}, "may overflow"),
        ({}, "fits"),
    ],
)
def test_verdicts(values, verdict):
    """65504 is float16's largest number, 16376 a quarter of it, 6.1e-5 its smallest normal one."""
    assert ranges.Range(part="head", name="x", **values).verdict == verdict


@pytest.mark.parametrize("wrong", [{"seen": -1.0}, {"bound": float("inf")}, {"part": "neck"}])  # fmt: skip
def test_magnitudes_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValidationError):
        ranges.Range(**({"part": "head", "name": "x"} | wrong))
