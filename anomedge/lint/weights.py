"""Check that external tensor data exists inside the graph's folder and has the stated length; only sizes are read.

ONNX requires a relative path below the graph's folder (ONNX, docs/ExternalData.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from anomedge.errors import IntegrityError
from anomedge.files import safe_member
from anomedge.lint.graph import BITS, Graph, type_name

__all__ = ["SOURCE", "faults_of_weights"]

SOURCE = "ONNX, docs/ExternalData.md: a relative path below the graph's folder"


def faults_of_weights(graph: Graph) -> Iterator[tuple[str, str]]:
    """Yield the name of each tensor with missing or misplaced external data, and a description of the fault."""
    for tensor in graph.tensors:
        if tensor.external_data:
            fault = _fault(tensor, graph.path.parent)
            if fault:
                yield tensor.name, fault


def _fault(tensor: Any, folder: Path) -> str:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    try:
        file = safe_member(folder, location)
        size = file.stat().st_size if file.is_file() else None
    except IntegrityError:
        return f"its data is said to lie in {location[:200]!r}, which is no plain path inside the folder"
    except (OSError, ValueError) as error:
        return f"its data in {location[:200]!r} cannot be read ({getattr(error, 'strerror', None) or error})"
    if size is None:
        return f"its data is said to lie in {location[:200]!r}, which is no file here"
    try:
        offset, length = (
            _number(entries.get(key)) for key in ("offset", "length")
        )
    except ValueError:
        return f"offset {entries.get('offset', '')[:40]!r} or length {entries.get('length', '')[:40]!r} is no number"
    return _fault_of_place(tensor, location, size, offset or 0, length)


def _fault_of_place(
    tensor: Any, location: str, size: int, offset: int, length: int | None
) -> str:
    length = size - offset if length is None else length
    if length < 0 or offset + length > size:
        return f"its data ends at byte {offset + length:,} of {location!r}, which has {size:,}"
    bits = BITS.get(type_name(tensor.data_type))
    if bits is None or any(n < 0 for n in tensor.dims):
        return f"its type or shape {list(tensor.dims)[:8]} is none"
    wanted = (math.prod(tensor.dims) * bits + 7) // 8
    return (
        ""
        if length == wanted
        else f"its data has {length:,} bytes where its shape needs {wanted:,}"
    )


def _number(text: str | None) -> int | None:
    """Parse a number of bytes; raise ValueError if the text is not one."""
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 19:
        raise ValueError(text)
    return int(text)
