"""Opcodes of numbers, text, bytes and constants, and of the stack and memo."""

from collections.abc import Callable
from typing import Any

from anomedge.interop.archive.limits import COSTS, LARGEST_INTEGER, Refused
from anomedge.interop.archive.machine import Machine

__all__ = ["HANDLERS"]

_LATEST_PROTOCOL = 5


def _protocol(_: Machine, version: int) -> None:
    if version > _LATEST_PROTOCOL:
        raise Refused(
            f"its pickle has protocol {version}; expected at most {_LATEST_PROTOCOL}"
        )


def _nothing(*_: Any) -> None:
    pass


def _scalar(machine: Machine, value: Any) -> None:
    """Push text, bytes or a number; long text was charged when it was read."""
    if isinstance(value, bytearray):
        value = bytes(value)
    machine.push(value, COSTS.SCALAR)


def _integer(machine: Machine, value: int) -> None:
    if value.bit_length() > LARGEST_INTEGER:
        raise Refused(
            f"its pickle has an integer of {value.bit_length()} bits; expected at most {LARGEST_INTEGER}"
        )
    machine.push(value, 2 * COSTS.SCALAR)


def _string(machine: Machine, value: str) -> None:
    """Push text of Python 2, which torch decodes as UTF-8."""
    _scalar(machine, value.encode("latin1").decode())


HANDLERS: dict[str, Callable[[Machine, Any], None]] = {
    "PROTO": _protocol,
    "FRAME": _nothing,
    "STOP": _nothing,
    "NONE": lambda machine, _: machine.push(None, 0),
    "NEWTRUE": lambda machine, _: machine.push(True, 0),
    "NEWFALSE": lambda machine, _: machine.push(False, 0),
    "MARK": lambda machine, _: machine.mark(),
    "POP": lambda machine, _: machine.drop(),
    "POP_MARK": lambda machine, _: machine.drop_marked(),
    "DUP": lambda machine, _: machine.push(machine.top(), 0),
    "MEMOIZE": lambda machine, _: machine.keep(),
}
_GROUPS: dict[str, Callable[[Machine, Any], None]] = {
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4": _integer,
    "FLOAT BINFLOAT UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8": _scalar,
    "SHORT_BINBYTES BINBYTES BINBYTES8 BYTEARRAY8": _scalar,
    "STRING BINSTRING SHORT_BINSTRING": _string,
    "GET BINGET LONG_BINGET": Machine.recall,
    "PUT BINPUT LONG_BINPUT": Machine.keep,
}
for _names, _handler in _GROUPS.items():
    HANDLERS |= dict.fromkeys(_names.split(), _handler)
