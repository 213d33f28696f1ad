"""Minimal protocol-buffer reader and writer, to walk through an ONNX file without the package `onnx`.

A message is a sequence of fields, each with a number, a wire type and a value, which may be a nested message (Protocol
Buffers documentation, "Encoding"; field numbers: `onnx.proto`). Every length is checked against the enclosing message.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, Protocol

__all__ = [
    "DEEPEST", "FIXED32", "FIXED64", "LENGTHS", "PARTS", "VARINT", "Data", "Field", "FileBytes", "Spoilt", "fields",
    "read_varint", "varint",
]  # fmt: skip

PARTS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse",
        23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""Message kinds of an ONNX file that may contain tensors; per kind, field number to kind of the nested message."""

DEEPEST = 32
"""Largest nesting depth of messages in a graph."""

VARINT, FIXED64, LENGTHS, FIXED32 = 0, 1, 2, 5
"""Wire types: a number, eight bytes, a length followed by that many bytes, and four bytes."""
_FIXED = {FIXED64: 8, FIXED32: 4}
_LARGEST_KEY = 2**32 - 1
_LARGEST_NUMBER = 2**64 - 1
_BLOCK = 1 << 16


class Data(Protocol):
    """Random access to bytes, in memory or in a file."""

    def __getitem__(self, place: int, /) -> int: ...


class FileBytes:
    """Byte access to a file by position. Not memory-mapped, because truncating a mapped file would kill the process."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._start, self._block = 0, b""

    def __getitem__(self, place: int, /) -> int:
        inside = place - self._start
        if not 0 <= inside < len(self._block):
            self._start, inside = place, 0
            self._block = self.between(place, place + _BLOCK)
            if not self._block:
                raise Spoilt(
                    f"the file ends at byte {place}; it was longer a moment ago"
                )
        return self._block[inside]

    def between(self, start: int, end: int) -> bytes:
        """Read the bytes in [start, end)."""
        self._file.seek(start)
        return self._file.read(end - start)


class Field(NamedTuple):
    """A field: its number and wire type, and the positions of its start, of its value's start and of the end."""

    number: int
    wire: int
    start: int
    body: int
    end: int


class Spoilt(ValueError):
    """The bytes are not a valid protocol buffer."""


def fields(data: Data, start: int, end: int) -> Iterator[Field]:
    """Yield the fields of the message in bytes [start, end).

    Raises:
        Spoilt: the bytes are not a valid message.
    """
    place = start
    while place < end:
        key, body = read_varint(data, place, end)
        # Parsers treat longer keys differently: some cut them to 32 bits.
        shortest = max(1, (key.bit_length() + 6) // 7)
        if key > _LARGEST_KEY or body - place != shortest:
            raise Spoilt(
                f"a field at byte {place} whose number is not in its shortest form"
            )
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
            raise Spoilt(
                f"a field at byte {place} that ends outside its message"
            )
        yield Field(number, wire, place, body, stop)
        place = stop


def read_varint(data: Data, place: int, end: int) -> tuple[int, int]:
    """Return the number at position `place`, of at most 64 bits, and the position after it; errors as in `fields`."""
    if place < end and data[place] < 0x80:
        return data[place], place + 1
    value = 0
    for shift in range(0, 70, 7):
        if place >= end:
            break
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value > _LARGEST_NUMBER:
                raise Spoilt(
                    f"a number of more than 64 bits before byte {place}"
                )
            return value, place
    raise Spoilt(f"an unterminated number before byte {place}")


def varint(value: int) -> bytes:
    """Encode a number as a variable-length integer.

    >>> varint(300).hex()
    'ac02'
    """
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
