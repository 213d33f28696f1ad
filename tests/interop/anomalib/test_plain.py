"""Plain values of a file's hyper-parameters."""

import pytest

from anomedge.interop.anomalib.plain import plain_arguments
from anomedge.interop.archive import Record


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3),
        (["layer1", 2], ("layer1", 2)),
        ([[1, 2], [3]], ((1, 2), (3,))),
        (Record("a", "Mode", ("add",)), "add"),
        ([Record("a", "Mode", ("add",)), 2], ("add", 2)),
    ],
)
def test_plain_values_are_kept(value, expected):
    assert plain_arguments({"x": value}) == {"x": expected}


@pytest.mark.parametrize(
    "value",
    [[[[1]]], {"a": 1}, Record("a", "B", (1, 2)), list(range(65)), "x" * 201],
)
def test_other_values_are_left_out(value):
    assert plain_arguments({"x": value}) == {}
