"""Read an ONNX file without its weights, so that memory stays small for any file.

The reader descends into messages that may hold tensors and skips the values of large tensors.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from anomedge.bundle.protobuf import (
    DEEPEST,
    LENGTHS,
    PARTS,
    Field,
    FileBytes,
    Spoilt,
    fields,
    varint,
)
from anomedge.errors import InputError
from anomedge.files import open_plain

__all__ = ["SMALL", "read_without_weights"]

SMALL = 4096
"""Largest message that is kept whole, in bytes; the rules read shapes, axes, zero points and the like."""

_LIMIT = 64 << 20  # bytes without weights; real graphs are far smaller
_MOST_FIELDS = 1_000_000
"""Fields of one file; a parser makes a hundred bytes of an empty message of two."""
_CONTENT = {4, 5, 6, 7, 9, 10, 11}
"""Field numbers of a tensor's values: float_data, int32_data, string_data, int64_data, raw_data, double_data, uint64_data."""


def read_without_weights(path: Path) -> Any:
    """Return the model of a file; large tensors keep their types and shapes and lose their content.

    Raises:
        InputError: the file cannot be read, is not an ONNX graph, or exceeds 64 MiB or a million fields
            without its weights.
    """
    try:
        with open_plain(path) as file:
            size = file.seek(0, os.SEEK_END)
            left = _without_large_tensors(
                FileBytes(file),
                Field(0, LENGTHS, 0, 0, size),
                "model",
                0,
                count(1),
            )
        model = onnx.ModelProto.FromString(bytes(left))
    except (DecodeError, ValueError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path} cannot be read as an ONNX graph ({reason}); export it again"
        ) from error
    if not model.graph.node and not model.graph.output:
        raise InputError(
            f"{path} holds no graph; expected an ONNX graph: export it again"
        )
    return model


def _without_large_tensors(
    data: FileBytes,
    field: Field,
    kind: str,
    depth: int,
    counter: Iterator[int],
) -> bytearray:
    """Return the bytes of a message without the content of its large tensors."""
    left = bytearray()
    for part in _counted(data, field, depth, counter):
        inner = PARTS[kind].get(part.number) if part.wire == LENGTHS else None
        if kind == "tensor" and part.number in _CONTENT:
            continue
        if inner is None or part.end - part.body <= SMALL:
            if len(left) + part.end - part.start > _LIMIT:
                raise Spoilt(f"over {_LIMIT >> 20} MiB without its weights")
            if inner is not None:
                _count(data, part, inner, depth + 1, counter)
            left += data.between(part.start, part.end)
            continue
        content = _without_large_tensors(data, part, inner, depth + 1, counter)
        left += (
            varint(part.number << 3 | LENGTHS) + varint(len(content)) + content
        )
    return left


def _count(
    data: FileBytes,
    field: Field,
    kind: str,
    depth: int,
    counter: Iterator[int],
) -> None:
    """Count the fields of a message that is kept whole."""
    for part in _counted(data, field, depth, counter):
        inner = PARTS[kind].get(part.number) if part.wire == LENGTHS else None
        if inner is not None:
            _count(data, part, inner, depth + 1, counter)


def _counted(
    data: FileBytes, field: Field, depth: int, counter: Iterator[int]
) -> Iterator[Field]:
    """Yield the fields of a message.

    Raises:
        Spoilt: too deep, too many, or no valid message.
    """
    if depth > DEEPEST:
        raise Spoilt("messages within messages without end")
    for part in fields(data, field.body, field.end):
        if next(counter) > _MOST_FIELDS:
            raise Spoilt(f"over {_MOST_FIELDS} fields")
        yield part
