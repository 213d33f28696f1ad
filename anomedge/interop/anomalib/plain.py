"""Plain values of an archive's content, which may be of any shape."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from anomedge.interop.anomalib.foreign import TensorSource, Triple
from anomedge.interop.archive import Record, StoredTensor

__all__ = [
    "entries_of",
    "enum_value",
    "number_of",
    "plain_arguments",
    "shown",
    "state_of",
    "triple_of",
]

_LONGEST_TEXT = 200
_MOST_ITEMS = 64
_MOST_SHOWN = 8
_LARGEST = float(np.finfo(np.float32).max)


def entries_of(value: Any) -> dict[str, Any]:
    """Return the entries with text keys of a dict or of a dictionary-like record; {} for anything else."""
    if isinstance(value, Record):
        value = value.entries
    if not isinstance(value, Mapping):
        return {}
    return {key: item for key, item in value.items() if isinstance(key, str)}


def state_of(value: Any) -> dict[str, Any]:
    """Return the attributes of a record; {} for anything else."""
    return entries_of(value.state) if isinstance(value, Record) else {}


def enum_value(value: Any) -> Any:
    """Return the value of an enumeration's member, which is a record of one plain argument; other values unchanged."""
    if isinstance(value, Record) and len(value.args) == 1:
        inner = value.args[0]
        return inner if isinstance(inner, str | int | float) else value
    return value


def plain_arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyper-parameters that are plain: text, numbers, None, short lists of these, and lists of such lists."""
    found = {}
    for name, value in list(values.items())[:_MOST_ITEMS]:
        plain, is_plain = _plain(value)
        if is_plain and len(name) <= _LONGEST_TEXT:
            found[name] = plain
    return found


def _plain(value: Any, levels: int = 2) -> tuple[Any, bool]:
    """Return a value and whether it is plain, with at most so many levels of lists, which become tuples."""
    value = enum_value(value)
    if isinstance(value, Record) and value.items and not value.entries:
        value = value.items
    if not isinstance(value, list | tuple):
        return value, _scalar(value)
    if levels == 0 or len(value) > _MOST_ITEMS:
        return value, False
    parts = [_plain(item, levels - 1) for item in value]
    items = tuple(item for item, _ in parts)
    return items, all(is_plain for _, is_plain in parts)


def _scalar(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_TEXT
    return value is None or isinstance(value, int | float)


def number_of(value: Any) -> float | None:
    """Return a number that is finite in float32, of a number or a tensor of one element; None for other values."""
    if isinstance(value, StoredTensor):
        value = _only_element(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if abs(number) <= _LARGEST else None


def _only_element(tensor: TensorSource) -> Any:
    if math.prod(tensor.shape) != 1 or len(tensor.shape) > 1:
        return None
    return tensor.load().reshape(()).item()


def triple_of(value: Any) -> Triple | None:
    """Return three finite numbers; None for anything else."""
    if not isinstance(value, list | tuple) or len(value) != 3:
        return None
    numbers = list(_finite(value))
    if len(numbers) != 3:
        return None
    return numbers[0], numbers[1], numbers[2]


def _finite(values: list[Any] | tuple[Any, ...]) -> Iterator[float]:
    for value in values:
        number = number_of(value)
        if number is not None:
            yield number


def shown(value: Any) -> str:
    """Return a short text of a value from a file, for messages.

    >>> shown([1, 2]), shown({})
    ('[1, 2]', 'a dict')
    """
    if isinstance(value, list | tuple) and len(value) <= _MOST_SHOWN:
        return f"[{', '.join(shown(item) for item in value if _scalar(item))}]"
    if _scalar(value):
        return repr(value)
    return f"a {type(value).__name__}"
