"""The order of passes, and one file and one test for each."""

import re
from pathlib import Path

import pytest

import anomedge.export.passes as passes
from anomedge.errors import ExportError
from anomedge.export.passes import PASSES, in_order


def named(name, *after):
    return type(name, (), {"name": name, "after": after})


def orders(*members):
    return [m.name for m in in_order({m.name: m for m in members})]


def test_the_order_of_our_passes():
    """Another order changes the bytes of exported graphs."""
    assert [member.name for member in in_order(PASSES.members())] == [
        "keep_zeros_before_pools",
        "select_channels_early",
        "pack_zeros",
        "plain_reshapes",
        "lower_opset",
        "shape_after_cast",
        "strip_metadata",
        "name_batch",
    ]


def test_each_file_is_a_pass_of_its_name_with_a_test():
    folder = Path(passes.__file__).parent
    files = {p.stem for p in folder.glob("*.py")} - {"__init__", "base"}
    assert files == set(PASSES.names())
    tests = {p.stem for p in Path(__file__).parent.glob("test_*.py")}
    assert {f"test_{name}" for name in files} <= tests


def test_passes_without_constraints_run_by_name():
    assert orders(named("b"), named("a"), named("c")) == ["a", "b", "c"]
    assert orders(named("a", "c"), named("b"), named("c")) == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([named("a", "x")], "pass a runs after x; expected passes of: a"),
        ([named("a", "b"), named("b", "a")], "run after one another: "),
    ],
)
def test_impossible_orders_are_refused(members, message):
    with pytest.raises(ExportError, match=re.escape(message)):
        orders(*members)
