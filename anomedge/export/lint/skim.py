"""Reading an ONNX file without its weights: a graph of gigabytes becomes a few kilobytes, whatever the file claims.

An ONNX file is a protocol buffer: fields of a number, a wire type and a value, messages within messages (Protocol
Buffers documentation, "Encoding"; numbers of the fields: `onnx.proto`). The walk below follows the messages that may
hold tensors and leaves out what large tensors contain. Every length is checked against the message around it.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import onnx
from google.protobuf.message import DecodeError

from anomedge.errors import InputError

__all__ = ["SMALL", "skim"]

SMALL = 4096
"""Bytes up to which a message is taken as it is: shapes, axes, zero points and the like are read by the rules."""

_LIMIT = 256 << 20  # of what is left: no graph of ours comes near
_DEEPEST = 32
_PARTS = {
    "model": {7: "graph", 25: "function"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
    "tensor": {},
}
_CONTENT = {
    4,
    5,
    6,
    7,
    9,
    10,
    11,
}  # float_data, int32_data, string_data, int64_data, raw_data, double_data, uint64_data
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class _Field(NamedTuple):
    number: int
    wire: int
    start: int  # of the field
    body: int  # of its value
    end: int


class _Spoilt(ValueError):
    """These bytes are no protocol buffer."""


def skim(path: Path) -> Any:
    """The model of a file, its large tensors with their types and shapes but without their content.

    Raises:
        InputError: the file cannot be read, is no ONNX graph, or has one of an absurd size.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            left = _skimmed(data, _Field(0, _BYTES, 0, 0, len(data)), "model", 0)
        model = onnx.ModelProto.FromString(bytes(left))
    except (_Spoilt, DecodeError, ValueError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read as an ONNX graph ({reason}); export it again") from error
    if not model.graph.node and not model.graph.output:
        raise InputError(f"{path} holds no graph; expected an ONNX graph: export it again")
    return model


def _skimmed(data: mmap.mmap, field: _Field, kind: str, depth: int) -> bytearray:
    """The content of one message without the content of large tensors in it."""
    if depth > _DEEPEST:
        raise _Spoilt("messages within messages without end")
    left = bytearray()
    for part in _fields(data, field.body, field.end):
        inner = _PARTS[kind].get(part.number) if part.wire == _BYTES else None
        if kind == "tensor" and part.number in _CONTENT:
            continue
        if inner is None or part.end - part.body <= SMALL:
            if len(left) + part.end - part.start > _LIMIT:
                raise _Spoilt(f"over {_LIMIT >> 20} MiB without its weights")
            left += data[part.start : part.end]
            continue
        content = _skimmed(data, part, inner, depth + 1)
        left += _varint(part.number << 3 | _BYTES) + _varint(len(content)) + content
    return left


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[_Field]:
    place = start
    while place < end:
        key, body = _read_varint(data, place, end)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            stop = _read_varint(data, body, end)[1]
        elif wire == _BYTES:
            length, body = _read_varint(data, body, end)
            stop = body + length
        elif wire in {_FIXED32, _FIXED64}:
            stop = body + (4 if wire == _FIXED32 else 8)
        else:
            raise _Spoilt(f"wire type {wire} at byte {place}")
        if number == 0 or stop > end:
            raise _Spoilt(f"a field at byte {place} that ends outside its message")
        yield _Field(number, wire, place, body, stop)
        place = stop


def _read_varint(data: mmap.mmap, place: int, end: int) -> tuple[int, int]:
    """The number at `place`, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= end:
            break
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise _Spoilt(f"a number without an end before byte {place}")


def _varint(value: int) -> bytes:
    """A number as protocol buffers write it.

    >>> _varint(300).hex()
    'ac02'
    """
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
