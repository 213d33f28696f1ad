"""Protocol buffers as bytes: enough to walk through an ONNX file without a vendor's package.

A message is a row of fields, each with a number, a wire type and a value; a value may be a message again (Protocol
Buffers documentation, "Encoding"; numbers of the fields: `onnx.proto`). Every length is checked against the message
around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

__all__ = ["DEEPEST", "LENGTHS", "PARTS", "VARINT", "Data", "Field", "Spoilt", "fields", "read_varint", "varint"]

PARTS = {
    "model": {7: "graph", 25: "function"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
    "tensor": {},
}
"""The messages of an ONNX file that may hold tensors: of each, the fields that hold such messages."""

DEEPEST = 32
"""Messages within messages that a graph may have."""

VARINT, LENGTHS = 0, 2
"""Wire types: a number, and a length with so many bytes behind it."""
_FIXED = {1: 8, 5: 4}


class Data(Protocol):
    """Bytes, wherever they are."""

    def __getitem__(self, place: int, /) -> int: ...


class Field(NamedTuple):
    """A field: its number and wire type, where it starts, where its value starts, and where both end."""

    number: int
    wire: int
    start: int
    body: int
    end: int


class Spoilt(ValueError):
    """These bytes are no protocol buffer."""


def fields(data: Data, start: int, end: int) -> Iterator[Field]:
    """The fields of the message between two places.

    Raises:
        Spoilt: there is none.
    """
    place = start
    while place < end:
        key, body = read_varint(data, place, end)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            stop = read_varint(data, body, end)[1]
        elif wire == LENGTHS:
            length, body = read_varint(data, body, end)
            stop = body + length
        elif wire in _FIXED:
            stop = body + _FIXED[wire]
        else:
            raise Spoilt(f"wire type {wire} at byte {place}")
        if number == 0 or stop > end:
            raise Spoilt(f"a field at byte {place} that ends outside its message")
        yield Field(number, wire, place, body, stop)
        place = stop


def read_varint(data: Data, place: int, end: int) -> tuple[int, int]:
    """The number at `place`, and where it ends; errors as in `fields`."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= end:
            break
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise Spoilt(f"a number without an end before byte {place}")


def varint(value: int) -> bytes:
    """A number as protocol buffers write it.

    >>> varint(300).hex()
    'ac02'
    """
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
