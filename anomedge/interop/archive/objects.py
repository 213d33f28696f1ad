"""Opcodes of names, calls and states: they give values of `calls`, tensors, or inert records."""

from collections.abc import Callable
from typing import Any

from anomedge.interop.archive.calls import called, value_or_record
from anomedge.interop.archive.limits import COSTS, LONGEST_NAME, Refused
from anomedge.interop.archive.machine import Machine, misused
from anomedge.interop.archive.records import Record

__all__ = ["HANDLERS"]


def _global(machine: Machine, argument: str) -> None:
    machine.push(_named(*_module_and_name(argument)), COSTS.RECORD)


def _stack_global(machine: Machine, _: Any) -> None:
    name, module = machine.pop(), machine.pop()
    machine.push(_named(module, name), COSTS.RECORD)


def _instance(machine: Machine, argument: str) -> None:
    callee = _named(*_module_and_name(argument))
    _push_object(machine, callee, tuple(machine.pop_marked()))


def _object(machine: Machine, _: Any) -> None:
    callee, *args = machine.pop_marked() or [None]
    _push_object(machine, callee, tuple(args))


def _new_object(machine: Machine, _: Any) -> None:
    args, callee = machine.pop(), machine.pop()
    _push_object(machine, callee, args)


def _new_object_ex(machine: Machine, _: Any) -> None:
    keywords = machine.pop()
    args, callee = machine.pop(), machine.pop()
    if not isinstance(keywords, dict):
        raise misused("NEWOBJ_EX", keywords)
    _push_object(machine, callee, args)
    machine.top().keywords = keywords


def _reduce(machine: Machine, _: Any) -> None:
    args, callee = machine.pop(), machine.pop()
    machine.push(value_or_record(machine, callee, args), 0)


def _build(machine: Machine, _: Any) -> None:
    """Store the state of a record; the attributes of an ordered dict are dropped."""
    state = machine.pop()
    target = machine.top()
    if isinstance(target, Record) and target.called:
        target.state = state
    elif not isinstance(target, dict):
        raise misused("BUILD", target)


def _persistent(machine: Machine, _: Any) -> None:
    identity = machine.pop()
    machine.push(machine.load_storage(identity), COSTS.TENSOR)


def _push_object(machine: Machine, callee: Any, args: Any) -> None:
    if not isinstance(callee, Record) or type(args) is not tuple:
        raise misused("NEWOBJ", callee)
    machine.push(called(callee, args), COSTS.RECORD + COSTS.ITEM * len(args))


def _module_and_name(argument: str) -> tuple[str, str]:
    """Split the argument of GLOBAL, whose two lines `genops` joins by a space."""
    module, _, name = argument.partition(" ")
    return module, name


def _named(module: Any, name: Any) -> Record:
    for text in (module, name):
        if not isinstance(text, str) or not _is_dotted(text):
            raise Refused(
                f"its pickle names {str(text)[:60]!r}; expected a module, a class or a function"
            )
    return Record(module, name, called=False)


def _is_dotted(text: str) -> bool:
    """Whether all parts between dots are printable, without spaces and not empty."""
    if len(text) > LONGEST_NAME or not text.isprintable() or " " in text:
        return False
    return all(text.split("."))


HANDLERS: dict[str, Callable[[Machine, Any], None]] = {
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "INST": _instance,
    "OBJ": _object,
    "NEWOBJ": _new_object,
    "NEWOBJ_EX": _new_object_ex,
    "REDUCE": _reduce,
    "BUILD": _build,
    "BINPERSID": _persistent,
}
