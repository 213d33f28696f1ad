"""Opcodes of lists, tuples, dicts and sets."""

from collections.abc import Callable
from typing import Any

from anomedge.interop.archive.limits import COSTS, Refused
from anomedge.interop.archive.machine import Machine, misused
from anomedge.interop.archive.records import Record

__all__ = ["HANDLERS"]


def _push_group(machine: Machine, group: list[Any] | tuple[Any, ...]) -> None:
    machine.push(group, COSTS.CONTAINER + COSTS.ITEM * len(group))


def _list(machine: Machine, _: Any) -> None:
    _push_group(machine, machine.pop_marked())


def _tuple(machine: Machine, _: Any) -> None:
    _push_group(machine, tuple(machine.pop_marked()))


def _tuple_of(count: int) -> Callable[[Machine, Any], None]:
    def push(machine: Machine, _: Any) -> None:
        values = [machine.pop() for _ in range(count)]
        _push_group(machine, tuple(reversed(values)))

    return push


def _dict(machine: Machine, _: Any) -> None:
    made: dict[Any, Any] = {}
    _set_entries(machine, made, machine.pop_marked())
    machine.push(made, COSTS.CONTAINER)


def _frozenset(machine: Machine, _: Any) -> None:
    keys = [machine.key(item) for item in machine.pop_marked()]
    cost = COSTS.CONTAINER + COSTS.ENTRY * len(keys)
    machine.push(frozenset(keys), cost)


def _append(machine: Machine, _: Any) -> None:
    _extend(machine, [machine.pop()])


def _appends(machine: Machine, _: Any) -> None:
    _extend(machine, machine.pop_marked())


def _extend(machine: Machine, values: list[Any]) -> None:
    """Append values to the list on the stack, or to the items of a record."""
    machine.budget.charge(COSTS.ITEM * len(values))
    target = machine.top()
    if isinstance(target, Record) and target.called:
        target = target.items
    if not isinstance(target, list):
        raise misused("APPENDS", target)
    target += values


def _set_item(machine: Machine, _: Any) -> None:
    value = machine.pop()
    key = machine.pop()
    _set_entries(machine, _entries(machine), [key, value])


def _set_items(machine: Machine, _: Any) -> None:
    values = machine.pop_marked()
    _set_entries(machine, _entries(machine), values)


def _entries(machine: Machine) -> dict[Any, Any]:
    """Return the dict on the stack, or the entries of a record."""
    target = machine.top()
    if isinstance(target, Record) and target.called:
        target = target.entries
    if not isinstance(target, dict):
        raise misused("SETITEMS", target)
    return target


def _set_entries(
    machine: Machine, target: dict[Any, Any], values: list[Any]
) -> None:
    if len(values) % 2:
        raise Refused("its pickle sets a key without a value")
    machine.budget.charge(COSTS.ENTRY * len(values))
    for place in range(0, len(values), 2):
        target[machine.key(values[place])] = values[place + 1]


def _add_items(machine: Machine, _: Any) -> None:
    values = machine.pop_marked()
    target = machine.top()
    if not isinstance(target, set):
        raise misused("ADDITEMS", target)
    machine.budget.charge(COSTS.ENTRY * len(values))
    for value in values:
        target.add(machine.key(value))


HANDLERS: dict[str, Callable[[Machine, Any], None]] = {
    "EMPTY_LIST": lambda machine, _: machine.push([], COSTS.CONTAINER),
    "EMPTY_TUPLE": lambda machine, _: machine.push((), COSTS.SCALAR),
    "EMPTY_DICT": lambda machine, _: machine.push({}, COSTS.CONTAINER),
    "EMPTY_SET": lambda machine, _: machine.push(set(), COSTS.CONTAINER),
    "LIST": _list,
    "TUPLE": _tuple,
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "DICT": _dict,
    "FROZENSET": _frozenset,
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "ADDITEMS": _add_items,
}
