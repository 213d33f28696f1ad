"""External tensors of an ONNX graph: find tensors with values in other files and embed the values.

Vendors would open such files by name and map them, without any check of their hashes. Here every file is read once, and
the vendor gets a graph with the values embedded. Needs numpy only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomedge.bundle.protobuf import (
    DEEPEST,
    LENGTHS,
    PARTS,
    VARINT,
    Field,
    Spoilt,
    fields,
    read_varint,
    varint,
)

__all__ = [
    "External",
    "external_tensors",
    "has_references",
    "values_of",
    "with_values",
]

_DIMS, _TYPE, _NAME, _RAW, _EXTERNAL, _LOCATION = 1, 2, 8, 9, 13, 14
_KEY, _VALUE = 1, 2
_EXTERNAL_LOCATION = 1
_LOCATION_KEY = b"location"
_LOCATION_ENTRY = (
    varint(_KEY << 3 | LENGTHS) + varint(len(_LOCATION_KEY)) + _LOCATION_KEY
)
_LARGEST_TYPE = 2**31 - 1
_TYPES = {
    1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2", 11: "<f8", 12: "<u4", 13: "<u8",
}  # fmt: skip
"""ONNX's type numbers and the numpy types they stand for."""


class External(NamedTuple):
    """A tensor with values in a file.

    Attributes:
        name, type, shape: as stated by the graph; the type is ONNX's type number.
        file: path of the file, relative to the graph's folder.
        offset, length: position of the values in the file, in bytes; a length of None means up to the end of the file.
    """

    name: str
    type: int
    shape: tuple[int, ...]
    file: str
    offset: int
    length: int | None

    @property
    def needed(self) -> int | None:
        """Bytes that values of this type and shape take; None of a type that numpy does not have."""
        known = _TYPES.get(self.type)
        if known is None:
            return None
        return math.prod(self.shape) * np.dtype(known).itemsize

    def within(self, content: bytes) -> memoryview:
        """Return the bytes of the values, a view of the file's content.

        Raises:
            ValueError: the values exceed the file.
        """
        end = len(content) if self.length is None else self.offset + self.length
        if not self.offset <= end <= len(content):
            raise ValueError(
                f"tensor {self.name!r} lies at bytes {self.offset} to {end} of {self.file}, which has {len(content)}; "
                "copy the graph again, with the files beside it"
            )
        return memoryview(content)[self.offset : end]


def external_tensors(content: bytes) -> list[External]:
    """List the external tensors of a graph, subgraphs and functions included.

    Raises:
        ValueError: the content refers to external files and is not a valid graph.
    """
    # Every reference contains this key; without it the bytes are not parsed here, only by the vendor.
    return (
        list(_found(content, _all_of(content), "model", 0))
        if _LOCATION_KEY in content
        else []
    )


def values_of(
    tensor: External, files: Mapping[str, bytes]
) -> npt.NDArray[np.generic]:
    """Return the values of a tensor as an array that shares memory with the file's content.

    Raises:
        ValueError: a type that numpy does not have, or a number of values that does not match the shape.
    """
    if tensor.type not in _TYPES:
        raise ValueError(
            f"tensor {tensor.name!r} is of ONNX type {tensor.type}, which numpy does not have"
        )
    return np.frombuffer(
        tensor.within(files[tensor.file]), dtype=_TYPES[tensor.type]
    ).reshape(tensor.shape)


def with_values(content: bytes, files: Mapping[str, bytes]) -> bytes:
    """Return the graph with all external values embedded; errors as in `external_tensors`."""
    return b"".join(_filled(content, _all_of(content), "model", files))


def has_references(content: bytes) -> bool:
    """Whether the bytes still hold an entry of the form in which a tensor refers to a file, wherever it lies.

    This search does not follow the graph's structure, so it also finds references in messages that are unknown here.
    """
    return _LOCATION_ENTRY in content


def _all_of(content: bytes) -> Field:
    return Field(0, LENGTHS, 0, 0, len(content))


def _parts(
    content: bytes, message: Field, kind: str, depth: int
) -> Iterator[tuple[Field, str | None]]:
    """Yield the fields of a message, each with the kind of the nested message to descend into, or None."""
    if depth > DEEPEST:
        raise Spoilt("messages within messages without end")
    for field in fields(content, message.body, message.end):
        yield (
            field,
            PARTS[kind].get(field.number) if field.wire == LENGTHS else None,
        )


def _found(
    content: bytes, message: Field, kind: str, depth: int
) -> Iterator[External]:
    for field, inner in _parts(content, message, kind, depth):
        if inner == "tensor":
            tensor = _external(content, field)
            if tensor is not None:
                yield tensor
        elif inner is not None:
            yield from _found(content, field, inner, depth + 1)


def _filled(
    content: bytes,
    message: Field,
    kind: str,
    files: Mapping[str, bytes],
    depth: int = 0,
) -> list[bytes | memoryview]:
    """Return the pieces of a message, with each reference to external values replaced by the values."""
    view, pieces = memoryview(content), list[bytes | memoryview]()
    for field, inner in _parts(content, message, kind, depth):
        if inner is None:
            pieces.append(view[field.start : field.end])
            continue
        made = (
            _tensor(content, field, files)
            if inner == "tensor"
            else _filled(content, field, inner, files, depth + 1)
        )
        pieces += [
            varint(field.number << 3 | LENGTHS),
            varint(sum(map(len, made))),
            *made,
        ]
    return pieces


def _tensor(
    content: bytes, message: Field, files: Mapping[str, bytes]
) -> list[bytes | memoryview]:
    tensor, view = _external(content, message), memoryview(content)
    if tensor is None:
        return [view[message.body : message.end]]
    kept = [
        f
        for f in fields(content, message.body, message.end)
        if f.number not in {_RAW, _EXTERNAL, _LOCATION}
    ]
    values = tensor.within(files[tensor.file])
    head = varint(_RAW << 3 | LENGTHS) + varint(len(values))
    return [*(view[field.start : field.end] for field in kept), head, values]


def _external(content: bytes, message: Field) -> External | None:
    """Read a tensor's reference to external values; None if its values are embedded."""
    shape, entries = list[int](), dict[str, str]()
    name, kind, where = "", 0, 0
    for field in fields(content, message.body, message.end):
        if field.number == _DIMS:
            shape += _numbers(content, field)
        elif field.number == _TYPE:
            kind = _enumerated(content, field, _LARGEST_TYPE)
        elif field.number == _NAME:
            name = _text(content, field)
        elif field.number == _EXTERNAL:
            entry = _entry(content, field)
            if entries.keys() & entry.keys():
                raise Spoilt(
                    f"a reference to a file that states {sorted(entry)} twice, at byte {field.start}"
                )
            entries |= entry
        elif field.number == _LOCATION:
            where = _enumerated(content, field, _EXTERNAL_LOCATION)
    if where != _EXTERNAL_LOCATION:
        return None
    length = entries.get("length")
    return External(
        name,
        kind,
        tuple(shape),
        entries.get("location", ""),
        _number(entries.get("offset", "0")),
        None if length is None else _number(length),
    )


def _entry(content: bytes, message: Field) -> dict[str, str]:
    texts = {
        field.number: _text(content, field)
        for field in fields(content, message.body, message.end)
    }
    return {texts.get(_KEY, ""): texts.get(_VALUE, "")}


def _enumerated(content: bytes, field: Field, largest: int) -> int:
    """Read one number from 0 to `largest`. Vendors cut larger ones to 32 bits, or ignore them, so they are refused."""
    number = (
        read_varint(content, field.body, field.end)[0]
        if field.wire == VARINT
        else None
    )
    if number is None or number > largest:
        raise Spoilt(
            f"a field at byte {field.start} that is no number from 0 to {largest}"
        )
    return number


def _numbers(content: bytes, field: Field) -> list[int]:
    """Read one number, or several packed into one field."""
    numbers, place = [], field.body
    while place < field.end:
        number, place = read_varint(content, place, field.end)
        numbers.append(number)
    if not numbers:
        raise Spoilt(f"a field at byte {field.start} without a number")
    return numbers


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise Spoilt(
            f"got {text[:40]!r} for a place in a file; expected a number"
        )
    return int(text)


def _text(content: bytes, field: Field) -> str:
    return content[field.body : field.end].decode(errors="replace")
