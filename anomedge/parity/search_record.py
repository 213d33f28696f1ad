"""Compare the record of an INT8 search with the graphs: the number of candidates and the bank's largest magnitude.

The record decides whether users are warned of processors that saturate, so a smaller limit than the bank's would hide it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomedge.bundle import Bundle
from anomedge.bundle.protobuf import VARINT, Field, fields, read_varint
from anomedge.runtimes.external_tensors import external_tensors, values_of

__all__ = ["faults_of_search"]

_GRAPH, _NODES, _CONSTANTS = 7, 1, 5
_INPUT, _OPERATOR = 1, 4
_DIMS, _TYPE, _NAME, _RAW = 1, 2, 8, 9
_INT8, _INT64 = 3, 7
_PLANES = 2
"""Dimensions of a part of the bank."""


class _Constant(NamedTuple):
    """An embedded constant: element type, number of dimensions, and the bytes of its values."""

    kind: int
    rank: int
    raw: bytes


def faults_of_search(bundle: Bundle) -> Iterator[str]:
    """Yield one phrase per graph whose INT8 search is not the manifest's record; nothing for a bundle without one.

    Networks that are quantised have integers of their own; then the largest magnitude is not compared.
    """
    record = bundle.manifest.search
    if record is None:
        return
    for variant in bundle.manifest.variants.values():
        name = variant.graph()
        content = bundle.read(name)
        found = _candidates(content)
        if record.candidates not in found:
            shown = ", ".join(map(str, sorted(found))) or "no number"
            yield f"{name} takes {shown} candidates; the manifest says {record.candidates}"
        largest = _largest(bundle, content)
        if bundle.manifest.quantisation is None and largest != record.limit:
            yield f"{name} has integers up to {largest} in the bank; the manifest says {record.limit}"


def _candidates(content: bytes) -> set[int]:
    """Return the constant k of every TopK."""
    constants = dict(_constants(content))
    found = set[int]()
    for node in _members(content, _NODES):
        texts = _texts(content, node, _INPUT)
        if _texts(content, node, _OPERATOR) == ["TopK"] and len(texts) > 1:
            constant = constants.get(texts[1])
            if constant is not None and constant.kind == _INT64:
                found |= {*np.frombuffer(constant.raw, "<i8").tolist()}
    return found


def _largest(bundle: Bundle, content: bytes) -> int:
    """Return the largest magnitude of the matrices of int8; 0 without any."""
    matrices: list[npt.NDArray[np.generic]] = [
        np.frombuffer(constant.raw, np.int8)
        for _, constant in _constants(content)
        if constant.kind == _INT8 and constant.rank == _PLANES
    ]
    beside = {
        tensor.file: bundle.read(tensor.file)
        for tensor in external_tensors(content)
    }
    matrices += [
        values_of(tensor, beside)
        for tensor in external_tensors(content)
        if tensor.type == _INT8 and len(tensor.shape) == _PLANES
    ]
    values = [int(np.abs(m.astype(np.int64)).max()) for m in matrices if m.size]
    return max(values, default=0)


def _constants(content: bytes) -> Iterator[tuple[str, _Constant]]:
    """Yield name and values of every embedded constant with raw bytes."""
    for message in _members(content, _CONSTANTS):
        name, kind, rank, raw = "", 0, 0, b""
        for part in fields(content, message.body, message.end):
            if part.number == _NAME:
                name = content[part.body : part.end].decode(errors="replace")
            elif part.number == _TYPE:
                kind = read_varint(content, part.body, part.end)[0]
            elif part.number == _DIMS:
                rank += _count(content, part)
            elif part.number == _RAW:
                raw = content[part.body : part.end]
        yield name, _Constant(kind, rank, raw)


def _count(content: bytes, field: Field) -> int:
    """Count the numbers of a field: one, or several packed."""
    if field.wire == VARINT:
        return 1
    return sum(byte < 0x80 for byte in content[field.body : field.end])


def _members(content: bytes, number: int) -> Iterator[Field]:
    for graph in fields(content, 0, len(content)):
        if graph.number == _GRAPH:
            for field in fields(content, graph.body, graph.end):
                if field.number == number:
                    yield field


def _texts(content: bytes, message: Field, number: int) -> list[str]:
    return [
        content[part.body : part.end].decode(errors="replace")
        for part in fields(content, message.body, message.end)
        if part.number == number
    ]
