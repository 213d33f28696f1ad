"""Depth of nested values, measured without recursion."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from anomedge.interop.archive.limits import MOST_LEVELS, Refused
from anomedge.interop.archive.records import Record

__all__ = ["check_depth"]

_CONTAINERS = (dict, list, tuple, set, frozenset, Record)
_END = object()


@dataclass(slots=True)
class _Level:
    """A value on the path from the root, the rest of its children, and its height so far."""

    value: Any
    rest: Iterator[Any]
    height: int = 1


def check_depth(content: Any) -> None:
    """Visit each value once, and raise if a chain of values, each within the one before, is too long.

    A value within itself ends the chain.

    Raises:
        Refused: a chain has over 200 values.
    """
    finished: dict[int, int] = {}
    root = _Level(content, _children(content))
    path, on_path = [root], {id(content)}
    while path:
        level = path[-1]
        child = next(level.rest, _END)
        if child is _END:
            path.pop()
            on_path.discard(id(level.value))
            finished[id(level.value)] = level.height
            if path:
                path[-1].height = max(path[-1].height, level.height + 1)
        elif id(child) in finished:
            level.height = max(level.height, finished[id(child)] + 1)
        elif isinstance(child, _CONTAINERS) and id(child) not in on_path:
            path.append(_Level(child, _children(child)))
            on_path.add(id(child))
        if max(level.height, len(path)) > MOST_LEVELS:
            raise Refused(
                f"its values are nested over {MOST_LEVELS} levels deep"
            )


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        return chain(value, value.values())
    if isinstance(value, Record):
        return iter(
            (
                value.args,
                value.state,
                value.items,
                value.entries,
                value.keywords,
            )
        )
    if isinstance(value, (list, tuple, set, frozenset)):
        return iter(value)
    return iter(())
