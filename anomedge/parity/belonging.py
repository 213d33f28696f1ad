"""Check that a cut graph is the graph of stages, cut at every stage, and nothing else.

The diagnosis of a failed proof runs `segments.onnx`. A cut graph with other nodes could blame any stage, or none, so
both files are compared field by field. The weights are the same bytes: both refer to those of the shipped graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from anomedge.bundle.protobuf import LENGTHS, Field, Spoilt, fields, varint

__all__ = ["GIVEN", "fault_of_segments"]

GIVEN = "given/"
"""Prefix of the inputs of `segments.onnx` that replace stages."""

_GRAPH, _NODES, _INPUTS, _OUTPUTS = 7, 1, 11, 12
_NODE_INPUT, _NODE_NAME, _VALUE_NAME = 1, 3, 1

_Part = tuple[int, int, bytes]
"""Number, wire type and bytes of a field."""


def fault_of_segments(stages: bytes, segments: bytes) -> str:
    """Return a phrase on the first difference of a cut graph; empty if it is the other graph, cut at its outputs.

    Args:
        stages: the ONNX file with every stage as an output.
        segments: the ONNX file in which every read of an output is replaced by an input.
    """
    try:
        return next(_differences(stages, segments), "")
    except Spoilt as error:
        return f"it is no valid ONNX graph ({error})"


def _differences(stages: bytes, segments: bytes) -> Iterator[str]:
    around, whole = _split(stages, _GRAPH)
    cut_around, cut = _split(segments, _GRAPH)
    if around != cut_around or len(whole) != 1 or len(cut) != 1:
        yield "its header differs"
        return
    taps, nodes = _names(whole[0], _OUTPUTS), _split(whole[0], _NODES)[1]
    replaced = [_cut(node, taps) for node in nodes]
    for wanted, got in zip_longest(replaced, _split(cut[0], _NODES)[1]):
        if wanted != got:
            yield f"node {_name_of(got or wanted or b'')!r} differs"
    read = {
        part
        for node in nodes
        for number, _, part in _parts(node)
        if number == _NODE_INPUT and part in taps
    }
    yield from _differences_around(whole[0], cut[0], read)


def _differences_around(
    whole: bytes, cut: bytes, read: set[bytes]
) -> Iterator[str]:
    """Yield the differences of constants, inputs and outputs."""
    given = [
        _renamed(value)
        for value in _split(whole, _OUTPUTS)[1]
        if _name(value, _VALUE_NAME) in read
    ]
    if _split(whole, _INPUTS)[1] + given != _split(cut, _INPUTS)[1]:
        yield "its inputs differ"
    moved = {_NODES, _INPUTS}
    rest, cut_rest = (
        [part for part in _parts(graph) if part[0] not in moved]
        for graph in (whole, cut)
    )
    if rest != cut_rest:
        yield "its constants or outputs differ"


def _parts(message: bytes) -> list[_Part]:
    return [
        (field.number, field.wire, _body(message, field))
        for field in fields(message, 0, len(message))
    ]


def _body(message: bytes, field: Field) -> bytes:
    return message[field.body : field.end]


def _split(message: bytes, number: int) -> tuple[list[_Part], list[bytes]]:
    """Return the fields of other numbers, and the bytes of those of this one."""
    parts = _parts(message)
    others = [part for part in parts if part[0] != number]
    return others, [body for key, _, body in parts if key == number]


def _names(graph: bytes, number: int) -> set[bytes]:
    return {_name(value, _VALUE_NAME) for value in _split(graph, number)[1]}


def _name(message: bytes, number: int) -> bytes:
    return b"".join(body for key, _, body in _parts(message) if key == number)


def _name_of(node: bytes) -> str:
    return _name(node, _NODE_NAME).decode(errors="replace")[:60]


def _cut(node: bytes, taps: set[bytes]) -> bytes:
    """Return a node that reads inputs where it read stages."""
    prefix = GIVEN.encode()
    return b"".join(
        _written(number, wire, prefix + body)
        if number == _NODE_INPUT and body in taps
        else _written(number, wire, body)
        for number, wire, body in _parts(node)
    )


def _renamed(value: bytes) -> bytes:
    prefix = GIVEN.encode()
    return b"".join(
        _written(number, wire, prefix + body if number == _VALUE_NAME else body)
        for number, wire, body in _parts(value)
    )


def _written(number: int, wire: int, body: bytes) -> bytes:
    size = varint(len(body)) if wire == LENGTHS else b""
    return varint(number << 3 | wire) + size + body
