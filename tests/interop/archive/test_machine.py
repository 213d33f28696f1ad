"""Stack, marks and memo of a pickle."""

import pytest

from anomedge.interop.archive.limits import COSTS, Budget, Refused
from anomedge.interop.archive.machine import Machine, misused
from anomedge.interop.archive.records import Record


@pytest.fixture
def machine():
    return Machine(Budget(1 << 20), lambda identity: identity)


def test_groups_hold_the_values_above_their_mark(machine):
    machine.push(1, 0)
    machine.mark()
    machine.push(2, 0)
    machine.mark()
    machine.push(3, 0)
    machine.push(4, 0)
    assert machine.pop_marked() == [3, 4]
    assert machine.pop_marked() == [2]
    assert machine.result() == 1


def test_a_mark_hides_what_lies_below(machine):
    machine.push(1, 0)
    machine.mark()
    for use in (machine.pop, machine.top):
        with pytest.raises(Refused, match="empty stack"):
            use()
    machine.drop_marked()
    assert machine.top() == machine.pop() == 1


def test_a_drop_takes_the_value_or_the_mark(machine):
    machine.push(1, 0)
    machine.mark()
    machine.push(2, 0)
    machine.drop()
    machine.drop()
    assert machine.result() == 1


@pytest.mark.parametrize("count", [0, 2])
def test_exactly_one_value_is_the_result(machine, count):
    for value in range(count):
        machine.push(value, 0)
    with pytest.raises(Refused, match=f"leaves {count} values"):
        machine.result()


def test_an_open_group_is_no_result(machine):
    machine.mark()
    machine.push(1, 0)
    with pytest.raises(Refused, match="leaves 1 values; expected one"):
        machine.result()


def test_the_memo_counts_on_or_takes_an_index(machine):
    for value, index in (("a", None), ("b", 7), ("c", None)):
        machine.push(value, 0)
        machine.keep(index)
    for index, value in ((0, "a"), (7, "b"), (2, "c")):
        machine.recall(index)
        assert machine.pop() == value
    with pytest.raises(Refused, match="uses value 1, which it did not store"):
        machine.recall(1)


def test_a_recalled_value_is_the_same_one(machine):
    shared = []
    machine.push(shared, 0)
    machine.keep()
    machine.recall(0)
    assert machine.pop() is machine.pop() is shared


def test_a_thousand_marks_are_enough(machine):
    for _ in range(1000):
        machine.mark()
    with pytest.raises(Refused, match="over 1000 open marks"):
        machine.mark()
    with pytest.raises(Refused, match="did not open"):
        Machine(Budget(0), None).pop_marked()


def test_every_value_costs_memory():
    machine = Machine(Budget(0), None)
    with pytest.raises(Refused, match="more memory"):
        machine.push(None, 41 << 20)
    machine = Machine(Budget(0), None)
    machine.push(None, (40 << 20) - 2 * COSTS.ITEM - 1)
    with pytest.raises(Refused, match="more memory"):
        machine.push(None, 2 * COSTS.ITEM)


def test_misuse_names_the_record_or_the_type():
    assert str(misused("BUILD", [])).startswith("its pickle applies BUILD to list, ")  # fmt: skip
    record = Record("os", "system" * 100)
    assert "<Record os.system" in str(misused("BUILD", record))
    assert len(str(misused("BUILD", record))) < 300
