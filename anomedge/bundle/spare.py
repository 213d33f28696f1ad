"""Bytes of weight files that no constant names, and parts of graphs that take no part in the computation.

Such bytes take part in no computation, so no proof would notice them. The files are those beside a graph: `<name>.data`
of an ONNX file, `<name>.bin` of an OpenVINO IR. Everything within an ONNX file itself belongs to a field that
`anomedge.bundle.operators` knows; names are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from xml.etree import ElementTree as ET

from anomedge.bundle.protobuf import (
    LENGTHS,
    PARTS,
    VARINT,
    Field,
    fields,
    read_varint,
)

__all__ = ["Span", "spans_of_ir", "spare_bytes", "unused_parts"]

_ALIGNMENT = 1 << 16
"""Largest alignment of tensors in a file, in bytes: the allocation granularity of Windows, which `onnx` aligns to."""

_GRAPH, _NODES, _CONSTANTS, _OUTPUTS = 7, 1, 5, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _VALUE_NAME = 1, 2, 3, 1
_NOTES = {
    "model": {6},
    "graph": {10, 13, 16},
    "node": {6, 9},
    "attribute": {13},
    "tensor": {12, 16},
}
"""Fields of notes. The properties of a model are none: a layout has some, and its proof compares them."""

_DIMS, _TYPE, _TENSOR_NAME, _RAW = 1, 2, 8, 9
_BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}  # fmt: skip
_IR_BITS = {
    "f64": 64, "f32": 32, "f16": 16, "bf16": 16, "i64": 64, "i32": 32, "i16": 16, "i8": 8, "u64": 64, "u32": 32,
    "u16": 16, "u8": 8, "boolean": 8, "i4": 4, "u4": 4, "u1": 1,
}  # fmt: skip


class Span(NamedTuple):
    """Bytes of a file that a constant takes, from `start` up to `end`."""

    start: int
    end: int


def spare_bytes(content: bytes, spans: Iterable[Span]) -> int:
    r"""Count the bytes of a weight file that belong to no constant.

    Zeros in front of a constant that fill up to a multiple of at most 64 KiB are alignment and are not counted.

    >>> spare_bytes(b"ab\0\0cd!!", [Span(0, 2), Span(4, 6)])
    2
    """
    count, place = 0, 0
    for span in sorted(spans):
        gap = content[place : max(place, span.start)]
        if any(gap) or len(gap) >= _ALIGNMENT:
            count += len(gap)
        place = max(place, span.end)
    return count + max(0, len(content) - place)


def spans_of_ir(content: bytes) -> tuple[list[Span], list[str]]:
    """Return the spans of an IR's constants, and one phrase for each that no layer reads or that does not fit its shape."""
    root = ET.fromstring(content.decode())  # noqa: S314 - checked by `faults_of_ir`
    read = {edge.get("from-layer") for edge in root.findall("edges/edge")}
    spans, wrong = [], []
    for layer in root.findall("layers/layer"):
        data = layer.find("data")
        if data is None or data.get("offset") is None:
            continue
        start, size = _number(data.get("offset")), _number(data.get("size"))
        spans.append(Span(start, start + size))
        if layer.get("id") not in read:
            wrong.append(
                f"constant {layer.get('name', '')[:60]!r} is read by no layer"
            )
        if size != _bytes_of(data):
            wrong.append(
                f"constant {layer.get('name', '')[:60]!r} takes {size} bytes; expected {_bytes_of(data)}"
            )
    return spans, wrong


def unused_parts(content: bytes) -> Iterator[str]:
    """Yield one phrase for each part of an ONNX file that takes no part in its computation.

    These are constants and nodes that nothing reads, constants with more values than their shape, and notes: texts and
    metadata of graphs, nodes and constants, and descriptions of inner values. The export writes none of them.
    """
    read, constants, nodes = set[str](), list[Field](), list[Field]()
    for graph in fields(content, 0, len(content)):
        if graph.number != _GRAPH:
            continue
        for field in fields(content, graph.body, graph.end):
            if field.number == _CONSTANTS:
                constants.append(field)
            elif field.number == _NODES:
                nodes.append(field)
                read |= _texts(content, field, _NODE_INPUT)
            elif field.number == _OUTPUTS:
                read |= _texts(content, field, _VALUE_NAME)
    for field in constants:
        name = _text(content, field, _TENSOR_NAME)
        if name not in read:
            yield f"constant {name[:60]!r} is read by no node"
    for field in nodes:
        if not _texts(content, field, _NODE_OUTPUT) & read:
            name = _text(content, field, _NODE_NAME)
            yield f"node {name[:60]!r} gives nothing that is read"
    whole = Field(0, LENGTHS, 0, 0, len(content))
    yield from _oversized(content, whole)
    notes = _bytes_of_notes(content, whole)
    if notes:
        yield f"has {notes} bytes of notes"


def _bytes_of_notes(content: bytes, message: Field, kind: str = "model") -> int:
    count = 0
    for field in fields(content, message.body, message.end):
        inner = PARTS[kind].get(field.number)
        if field.number in _NOTES.get(kind, ()):
            count += field.end - field.body
        elif inner is not None:
            count += _bytes_of_notes(content, field, inner)
    return count


def _oversized(
    content: bytes, message: Field, kind: str = "model"
) -> Iterator[str]:
    """Yield one phrase for each embedded tensor with another number of raw bytes than its shape needs."""
    for field in fields(content, message.body, message.end):
        inner = PARTS[kind].get(field.number)
        if inner == "tensor":
            yield from _fault_of_tensor(content, field)
        elif inner is not None:
            yield from _oversized(content, field, inner)


def _fault_of_tensor(content: bytes, message: Field) -> Iterator[str]:
    shape, size, raw = list[int](), 0, 0
    for field in fields(content, message.body, message.end):
        if field.number == _DIMS:
            shape += _numbers(content, field)
        elif field.number == _TYPE:
            size = _BYTES.get(read_varint(content, field.body, field.end)[0], 0)
        elif field.number == _RAW:
            raw = field.end - field.body
    if raw and size and raw != size * math.prod(shape):
        name = _text(content, message, _TENSOR_NAME)
        yield f"constant {name[:60]!r} takes {raw} bytes; expected {size * math.prod(shape)}"


def _numbers(content: bytes, field: Field) -> Sequence[int]:
    """Read one number, or several packed into one field."""
    if field.wire == VARINT:
        return [read_varint(content, field.body, field.end)[0]]
    numbers, place = list[int](), field.body
    while place < field.end:
        number, place = read_varint(content, place, field.end)
        numbers.append(number)
    return numbers


def _texts(content: bytes, message: Field, number: int) -> set[str]:
    return {
        content[field.body : field.end].decode(errors="replace")
        for field in fields(content, message.body, message.end)
        if field.number == number
    }


def _text(content: bytes, message: Field, number: int) -> str:
    return "".join(_texts(content, message, number))


def _bytes_of(data: ET.Element) -> int:
    """Return the bytes that a constant of this type and shape takes; -1 of a type without a fixed size."""
    bits = _IR_BITS.get(data.get("element_type", "").lower())
    if bits is None:
        return -1
    sizes = [_number(text) for text in data.get("shape", "").split(",") if text]
    return -(-bits * math.prod(sizes) // 8)


def _number(text: str | None) -> int:
    """Return the number that a text states; -1 if it states none."""
    stripped = (text or "").strip()
    known = stripped.isascii() and stripped.isdecimal() and len(stripped) < 20
    return int(stripped) if known else -1
