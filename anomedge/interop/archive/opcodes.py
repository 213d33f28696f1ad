"""Interpret the opcodes of a pickle into plain values, tensors and inert records; nothing is imported or called.

The opcodes come from `pickletools.genops`, which decodes and does not execute. Every opcode of the protocols 0 to 5 is
either in the table below or refused by its name.
"""

import pickletools
import struct
from collections.abc import Callable
from typing import Any, cast

from anomedge.interop.archive.calls import Calls, called
from anomedge.interop.archive.keys import KeyCheck
from anomedge.interop.archive.limits import (
    LARGEST_INTEGER,
    LONGEST_NAME,
    MOST_OPCODES,
    Budget,
    Refused,
)
from anomedge.interop.archive.machine import COSTS, Machine
from anomedge.interop.archive.member_content import MemberStream
from anomedge.interop.archive.records import Record

__all__ = ["interpret"]

_LATEST_PROTOCOL = 5


def interpret(
    stream: MemberStream, budget: Budget, load_storage: Callable[[Any], Any]
) -> Any:
    """Return the value of a pickle.

    Args:
        stream: the pickle.
        budget: the memory that the value may take.
        load_storage: gives the value of a persistent id.

    Raises:
        Refused: the pickle is damaged, too large, or contains an opcode that torch does not write.
    """
    reader = _Interpreter(budget, load_storage)
    count = 0
    try:
        for opcode, argument, _ in pickletools.genops(cast(Any, stream)):
            count += 1
            if count > MOST_OPCODES:
                raise Refused(f"its pickle has over {MOST_OPCODES} opcodes")
            reader.step(opcode.name, argument)
    except Refused:
        raise
    except (ValueError, OverflowError, struct.error) as error:
        raise Refused(f"its pickle is damaged: {error}") from error
    if stream.left:
        raise Refused(f"its pickle is followed by {stream.left} more bytes")
    return reader.machine.result()


class _Interpreter:
    """One method for each opcode, or for each group of opcodes that do the same."""

    def __init__(
        self, budget: Budget, load_storage: Callable[[Any], Any]
    ) -> None:
        self.machine = Machine(budget)
        self._budget, self._load_storage = budget, load_storage
        self._key = KeyCheck()
        self._calls = Calls(budget, self._key)

    def step(self, name: str, argument: Any) -> None:
        """Perform one opcode."""
        handler = _HANDLERS.get(name)
        if handler is None:
            raise Refused(
                f"its pickle contains the opcode {name}, which torch.save does not write"
            )
        handler(self, argument)

    def nothing(self, _: Any) -> None:
        """Ignore an opcode without effect."""

    def protocol(self, version: int) -> None:
        """Check the protocol."""
        if version > _LATEST_PROTOCOL:
            raise Refused(
                f"its pickle has protocol {version}; expected at most {_LATEST_PROTOCOL}"
            )

    def scalar(self, value: Any) -> None:
        """Push text, bytes or a number; long text was charged when it was read."""
        if isinstance(value, bytearray):
            value = bytes(value)
        self.machine.push(value, COSTS.SCALAR)

    def integer(self, value: int) -> None:
        """Push an integer."""
        if value.bit_length() > LARGEST_INTEGER:
            raise Refused(
                f"its pickle has an integer of {value.bit_length()} bits; expected at most {LARGEST_INTEGER}"
            )
        self.machine.push(value, 2 * COSTS.SCALAR)

    def string(self, value: str) -> None:
        """Push text of Python 2, which torch decodes as UTF-8."""
        self.scalar(value.encode("latin1").decode())

    def none(self, _: Any) -> None:
        """Push None."""
        self.machine.push(None, 0)

    def true(self, _: Any) -> None:
        """Push True."""
        self.machine.push(True, 0)

    def false(self, _: Any) -> None:
        """Push False."""
        self.machine.push(False, 0)

    def mark(self, _: Any) -> None:
        """Begin a group."""
        self.machine.mark()

    def pop(self, _: Any) -> None:
        """Drop the top."""
        self.machine.drop()

    def pop_mark(self, _: Any) -> None:
        """Drop a group."""
        self.machine.pop_marked()

    def duplicate(self, _: Any) -> None:
        """Push the top once more."""
        self.machine.push(self.machine.top(), 0)

    def put(self, index: int) -> None:
        """Store the top under an index."""
        self.machine.keep(index)

    def memoize(self, _: Any) -> None:
        """Store the top under the next index."""
        self.machine.keep()

    def get(self, index: int) -> None:
        """Push a stored value."""
        self.machine.recall(index)

    def empty_list(self, _: Any) -> None:
        """Push a list."""
        self.machine.push([], COSTS.CONTAINER)

    def empty_tuple(self, _: Any) -> None:
        """Push a tuple."""
        self.machine.push((), COSTS.SCALAR)

    def empty_dict(self, _: Any) -> None:
        """Push a dict."""
        self.machine.push({}, COSTS.CONTAINER)

    def empty_set(self, _: Any) -> None:
        """Push a set."""
        self.machine.push(set(), COSTS.CONTAINER)

    def list_(self, _: Any) -> None:
        """Push a list of a group."""
        self._push_group(self.machine.pop_marked())

    def tuple_(self, _: Any) -> None:
        """Push a tuple of a group."""
        self._push_group(tuple(self.machine.pop_marked()))

    def frozenset_(self, _: Any) -> None:
        """Push a frozenset of a group."""
        keys = [self._key(item) for item in self.machine.pop_marked()]
        self._budget.charge(COSTS.ENTRY * len(keys))
        self.machine.push(frozenset(keys), COSTS.CONTAINER)

    def dict_(self, _: Any) -> None:
        """Push a dict of a group."""
        made: dict[Any, Any] = {}
        self._set_entries(made, self.machine.pop_marked())
        self.machine.push(made, COSTS.CONTAINER)

    def tuple_1(self, _: Any) -> None:
        """Push a tuple of one value."""
        self._push_last(1)

    def tuple_2(self, _: Any) -> None:
        """Push a tuple of two values."""
        self._push_last(2)

    def tuple_3(self, _: Any) -> None:
        """Push a tuple of three values."""
        self._push_last(3)

    def append(self, _: Any) -> None:
        """Append the top to the list below it."""
        self._append([self.machine.pop()])

    def appends(self, _: Any) -> None:
        """Append a group to the list below it."""
        self._append(self.machine.pop_marked())

    def set_item(self, _: Any) -> None:
        """Set one entry of the dict below."""
        value = self.machine.pop()
        key = self.machine.pop()
        self._set_entries(self._entries(), [key, value])

    def set_items(self, _: Any) -> None:
        """Set entries of the dict below a group."""
        values = self.machine.pop_marked()
        self._set_entries(self._entries(), values)

    def add_items(self, _: Any) -> None:
        """Add a group to the set below it."""
        values = self.machine.pop_marked()
        target = self.machine.top()
        if not isinstance(target, set):
            raise _misused("ADDITEMS", target)
        self._budget.charge(COSTS.ENTRY * len(values))
        for value in values:
            target.add(self._key(value))

    def global_(self, argument: str) -> None:
        """Push the record of a class or function."""
        self._push_name(*_module_and_name(argument))

    def stack_global(self, _: Any) -> None:
        """Push the record of a class or function whose names are on the stack."""
        name, module = self.machine.pop(), self.machine.pop()
        self._push_name(module, name)

    def instance(self, argument: str) -> None:
        """Push the record of an instance, its arguments a group."""
        record = _named(*_module_and_name(argument))
        self._push_call(record, tuple(self.machine.pop_marked()))

    def object_(self, _: Any) -> None:
        """Push the record of an instance, class and arguments a group."""
        callee, *args = self.machine.pop_marked() or [None]
        self._push_call(callee, tuple(args))

    def new_object(self, _: Any) -> None:
        """Push the record of an instance."""
        args, callee = self.machine.pop(), self.machine.pop()
        self._push_call(callee, args)

    def new_object_ex(self, _: Any) -> None:
        """Push the record of an instance with keyword arguments."""
        keywords = self.machine.pop()
        args, callee = self.machine.pop(), self.machine.pop()
        if not isinstance(keywords, dict):
            raise _misused("NEWOBJ_EX", keywords)
        self._push_call(callee, args)
        self.machine.top().keywords = keywords

    def reduce(self, _: Any) -> None:
        """Push the value or the record of a call."""
        args, callee = self.machine.pop(), self.machine.pop()
        self.machine.push(self._calls.result(callee, args), 0)

    def build(self, _: Any) -> None:
        """Store the state of a record; the attributes of an ordered dict are dropped."""
        state = self.machine.pop()
        target = self.machine.top()
        if isinstance(target, Record) and target.called:
            target.state = state
        elif not isinstance(target, dict):
            raise _misused("BUILD", target)

    def persistent(self, _: Any) -> None:
        """Push the storage of a persistent id."""
        identity = self.machine.pop()
        self.machine.push(self._load_storage(identity), COSTS.TENSOR)

    def _push_group(self, group: list[Any] | tuple[Any, ...]) -> None:
        self._budget.charge(COSTS.ITEM * len(group))
        self.machine.push(group, COSTS.CONTAINER)

    def _push_last(self, count: int) -> None:
        values = [self.machine.pop() for _ in range(count)]
        self._push_group(tuple(reversed(values)))

    def _push_name(self, module: Any, name: Any) -> None:
        self.machine.push(_named(module, name), COSTS.RECORD)

    def _push_call(self, callee: Any, args: Any) -> None:
        if not isinstance(callee, Record) or type(args) is not tuple:
            raise _misused("NEWOBJ", callee)
        self._budget.charge(COSTS.ITEM * len(args))
        self.machine.push(called(callee, args), COSTS.RECORD)

    def _append(self, values: list[Any]) -> None:
        self._budget.charge(COSTS.ITEM * len(values))
        target = self.machine.top()
        if isinstance(target, Record) and target.called:
            target = target.items
        if not isinstance(target, list):
            raise _misused("APPENDS", target)
        target += values

    def _entries(self) -> dict[Any, Any]:
        target = self.machine.top()
        if isinstance(target, Record) and target.called:
            target = target.entries
        if not isinstance(target, dict):
            raise _misused("SETITEMS", target)
        return target

    def _set_entries(self, target: dict[Any, Any], values: list[Any]) -> None:
        if len(values) % 2:
            raise Refused("its pickle sets a key without a value")
        self._budget.charge(COSTS.ENTRY * len(values))
        for place in range(0, len(values), 2):
            target[self._key(values[place])] = values[place + 1]


def _misused(opcode: str, target: Any) -> Refused:
    kind = repr(target) if isinstance(target, Record) else type(target).__name__
    return Refused(
        f"its pickle applies {opcode} to {kind[:200]}, which torch.save does not write"
    )


def _module_and_name(argument: str) -> tuple[str, str]:
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


_HANDLERS: dict[str, Callable[[_Interpreter, Any], None]] = {
    "PROTO": _Interpreter.protocol,
    "FRAME": _Interpreter.nothing,
    "STOP": _Interpreter.nothing,
    "NONE": _Interpreter.none,
    "NEWTRUE": _Interpreter.true,
    "NEWFALSE": _Interpreter.false,
    "MARK": _Interpreter.mark,
    "POP": _Interpreter.pop,
    "POP_MARK": _Interpreter.pop_mark,
    "DUP": _Interpreter.duplicate,
    "MEMOIZE": _Interpreter.memoize,
    "EMPTY_LIST": _Interpreter.empty_list,
    "EMPTY_TUPLE": _Interpreter.empty_tuple,
    "EMPTY_DICT": _Interpreter.empty_dict,
    "EMPTY_SET": _Interpreter.empty_set,
    "LIST": _Interpreter.list_,
    "TUPLE": _Interpreter.tuple_,
    "TUPLE1": _Interpreter.tuple_1,
    "TUPLE2": _Interpreter.tuple_2,
    "TUPLE3": _Interpreter.tuple_3,
    "DICT": _Interpreter.dict_,
    "FROZENSET": _Interpreter.frozenset_,
    "APPEND": _Interpreter.append,
    "APPENDS": _Interpreter.appends,
    "SETITEM": _Interpreter.set_item,
    "SETITEMS": _Interpreter.set_items,
    "ADDITEMS": _Interpreter.add_items,
    "GLOBAL": _Interpreter.global_,
    "STACK_GLOBAL": _Interpreter.stack_global,
    "INST": _Interpreter.instance,
    "OBJ": _Interpreter.object_,
    "NEWOBJ": _Interpreter.new_object,
    "NEWOBJ_EX": _Interpreter.new_object_ex,
    "REDUCE": _Interpreter.reduce,
    "BUILD": _Interpreter.build,
    "BINPERSID": _Interpreter.persistent,
}
_GROUPS: dict[str, Callable[[_Interpreter, Any], None]] = {
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4": _Interpreter.integer,
    "FLOAT BINFLOAT UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8": _Interpreter.scalar,
    "SHORT_BINBYTES BINBYTES BINBYTES8 BYTEARRAY8": _Interpreter.scalar,
    "STRING BINSTRING SHORT_BINSTRING": _Interpreter.string,
    "GET BINGET LONG_BINGET": _Interpreter.get,
    "PUT BINPUT LONG_BINPUT": _Interpreter.put,
}
for _names, _handler in _GROUPS.items():
    _HANDLERS |= dict.fromkeys(_names.split(), _handler)
