"""Opcodes of lists, tuples, dicts and sets, and of records in their place."""

import pytest

from anomedge.interop.archive.limits import Refused
from anomedge.interop.archive.records import Record
from tests.interop.archive.running import value


@pytest.mark.parametrize(
    ("opcodes", "stack", "made"),
    [
        ("EMPTY_LIST", (), []),
        ("EMPTY_TUPLE", (), ()),
        ("EMPTY_DICT", (), {}),
        ("EMPTY_SET", (), set()),
        ("LIST", ("MARK", 1, 2), [1, 2]),
        ("TUPLE", ("MARK",), ()),
        ("TUPLE", ("MARK", 1, 2), (1, 2)),
        ("TUPLE1", (1,), (1,)),
        ("TUPLE2", (1, 2), (1, 2)),
        ("TUPLE3", (1, 2, 3), (1, 2, 3)),
        ("DICT", ("MARK", "a", 1, "b", 2, "a", 3), {"a": 3, "b": 2}),
        ("FROZENSET", ("MARK", 1, 2, 1), frozenset({1, 2})),
        ("APPEND", ([1], 2), [1, 2]),
        ("APPENDS", ([1], "MARK", 2, 3), [1, 2, 3]),
        ("SETITEM", ({}, "a", 1), {"a": 1}),
        ("SETITEMS", ({"a": 0}, "MARK", "a", 1, "b", 2), {"a": 1, "b": 2}),
        ("ADDITEMS", ({1}, "MARK", 2, 1), {1, 2}),
    ],
)
def test_containers_hold_their_values_in_order(opcodes, stack, made):
    found = value(opcodes, *stack)
    assert found == made
    assert type(found) is type(made)


def test_what_is_added_to_a_record_is_kept_apart():
    record = Record("a", "B")
    assert value("APPEND", record, 1) is record
    value("APPENDS", record, "MARK", 2, 3)
    value("SETITEM", record, "x", 4)
    assert (record.items, record.entries) == ([1, 2, 3], {"x": 4})


@pytest.mark.parametrize(
    ("opcodes", "stack", "said"),
    [
        ("APPEND", ((), 1), "APPENDS to tuple"),
        ("SETITEM", ([], "a", 1), "SETITEMS to list"),
        ("ADDITEMS", ([], "MARK", 1), "ADDITEMS to list"),
        ("ADDITEMS", (frozenset(), "MARK", 1), "ADDITEMS to frozenset"),
        ("APPEND", (Record("a", "B", called=False), 1), "APPENDS to <Record a.B>"),
        ("SETITEM", (Record("a", "B", called=False), "x", 1), "SETITEMS to <Record"),
        ("DICT", ("MARK", "a"), "a key without a value"),
        ("SETITEMS", ({}, "MARK", "a", 1, "b"), "a key without a value"),
        ("DICT", ("MARK", [], 1), "a key with a list"),
        ("TUPLE2", (1,), "empty stack"),
    ],
)  # fmt: skip
def test_other_uses_are_refused(opcodes, stack, said):
    with pytest.raises(Refused, match=said):
        value(opcodes, *stack)
