"""Reduce an untrusted ONNX file to the parts that an import reads, so that parsing it takes little memory.

A parser turns an empty message of two bytes into an object of over a hundred.
Here the fields of a file are counted before it is parsed, fields that no import
reads are left out, and the values of tensors stay in the file.
"""

from __future__ import annotations

import struct
from itertools import count
from typing import BinaryIO, NamedTuple

from anomedge.bundle.protobuf import (
    LENGTHS,
    Field,
    FileBytes,
    Spoilt,
    fields,
    varint,
)

__all__ = ["Place", "reduced"]

_MOST_FIELDS = 100_000
"""Fields that are looked at; the graph of a wide ResNet-101 has some ten thousand."""
_LARGEST = 2 << 20
"""Bytes of the parts that are kept; lists of numbers take up to sixteen times as much memory."""

_PARTS: dict[str, dict[int, str]] = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value"},
    "node": {1: "", 2: "", 3: "", 4: "", 5: "attribute"},
    "attribute": {1: "", 4: "", 5: "tensor"},
    "tensor": {
        1: "", 2: "", 4: "", 5: "", 7: "", 8: "", 9: "values", 10: "",
        13: "entry", 14: "",
    },
    "entry": {1: "", 2: ""},
    "value": {1: "", 2: "type"},
    "type": {1: "array"},
    "array": {2: "shape"},
    "shape": {1: "dimension"},
    "dimension": {1: ""},
}  # fmt: skip
"""Per kind of message, the fields that are kept: "" for plain content, else the kind of the nested message.

No kind contains itself: graphs within nodes are left out.
"""

_PLACE = struct.Struct("<QQ")


class Place(NamedTuple):
    """Position of a tensor's values in the file, in bytes."""

    start: int
    size: int

    @property
    def packed(self) -> bytes:
        """The position as bytes, which stand for the values in a reduced file."""
        return _PLACE.pack(*self)

    @classmethod
    def unpacked(cls, content: bytes) -> Place:
        """Return the position that these bytes stand for."""
        return cls(*_PLACE.unpack(content))


def reduced(file: BinaryIO, size: int) -> bytes:
    """Return the content of an ONNX file of `size` bytes without the parts that no import reads.

    The raw values of each tensor are replaced by their `Place`.

    Raises:
        Spoilt: not a valid message, or one with more parts than a graph of
            anomalib has.
        OSError: the file cannot be read.
    """
    whole = Field(0, LENGTHS, 0, 0, size)
    return bytes(_Reducer(FileBytes(file)).message(whole, "model"))


class _Reducer:
    """Copies the fields to keep; counts the fields that are read and the bytes that are kept."""

    def __init__(self, data: FileBytes) -> None:
        self._data = data
        self._seen = count(1)
        self._kept = 0

    def message(self, message: Field, kind: str) -> bytearray:
        """Return the kept parts of a message."""
        kept = bytearray()
        for field in fields(self._data, message.body, message.end):
            if next(self._seen) > _MOST_FIELDS:
                raise Spoilt(
                    f"over {_MOST_FIELDS} fields, more than a graph of anomalib has"
                )
            inner = _PARTS[kind].get(field.number)
            if inner == "":
                kept += self._plain(field)
            elif inner is not None and field.wire == LENGTHS:
                kept += self._nested(field, inner)
        return kept

    def _plain(self, field: Field) -> bytes:
        self._kept += field.end - field.start
        if self._kept > _LARGEST:
            raise Spoilt(
                f"over {_LARGEST >> 20} MiB besides the raw values of its tensors"
            )
        return self._data.between(field.start, field.end)

    def _nested(self, field: Field, inner: str) -> bytes:
        if inner == "values":
            content = Place(field.body, field.end - field.body).packed
        else:
            content = bytes(self.message(field, inner))
        return (
            varint(field.number << 3 | LENGTHS) + varint(len(content)) + content
        )
