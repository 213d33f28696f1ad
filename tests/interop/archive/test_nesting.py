"""Depth of nested values: measured without recursion, each value once, cycles included."""

import pytest

from anomedge.interop.archive.limits import Refused
from anomedge.interop.archive.nesting import check_depth
from anomedge.interop.archive.records import Record

WRAPPERS = {
    "list": lambda x: [x],
    "tuple": lambda x: (x,),
    "dict": lambda x: {"a": x},
    "state": lambda x: Record("a", "B", state=x),
    "arguments": lambda x: Record("a", "B", args=(x,)),
}


def nested(wrap, levels, value=1):
    for _ in range(levels):
        value = wrap(value)
    return value


@pytest.mark.parametrize("kind", ["list", "tuple", "dict", "state"])
def test_two_hundred_levels_are_allowed(kind):
    check_depth(nested(WRAPPERS[kind], 199))
    with pytest.raises(Refused, match="over 200 levels deep"):
        check_depth(nested(WRAPPERS[kind], 201))


@pytest.mark.parametrize("kind", WRAPPERS)
def test_a_hundred_thousand_levels_do_not_exhaust_the_stack(kind):
    with pytest.raises(Refused, match="over 200 levels deep"):
        check_depth(nested(WRAPPERS[kind], 100_000))


def test_shared_values_are_visited_once():
    check_depth(nested(lambda x: (x, x), 150, ()))


def test_the_longest_of_several_ways_counts():
    shared = nested(WRAPPERS["list"], 120)
    check_depth([shared, nested(WRAPPERS["list"], 60, shared)])
    with pytest.raises(Refused):
        check_depth([shared, nested(WRAPPERS["list"], 90, shared)])


def test_a_cycle_ends_the_chain():
    cycle = [1]
    cycle.append({"self": cycle})
    check_depth(cycle)


def test_keys_are_values_too():
    key = nested(WRAPPERS["tuple"], 201, "a")
    with pytest.raises(Refused):
        check_depth({key: 1})


@pytest.mark.parametrize("value", [None, "text", 5, b"", [], {}])
def test_plain_values_have_no_depth(value):
    check_depth(value)
