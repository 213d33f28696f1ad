"""Leave a module as it was: modes, attributes and containers that a trace or a run may change."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from torch import nn

__all__ = ["preserved"]


@contextmanager
def preserved(module: nn.Module) -> Iterator[None]:
    """Restore the attributes of a module and of its submodules after the block; values of tensors are not restored.

    Tracing runs a module on tensors without data. A module that caches a table at its first run would keep one of them.
    """
    before = [(each, _snapshot(each)) for each in module.modules()]
    try:
        yield
    finally:
        for each, attributes in before:
            _restore(each, attributes)


def _snapshot(module: nn.Module) -> dict[str, tuple[Any, Any]]:
    """Return each attribute, and a copy of its content if it is a container."""
    return {
        name: (value, _content(value))
        for name, value in module.__dict__.items()
    }


def _content(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(value)
    if isinstance(value, list | set):
        return type(value)(value)
    return None


def _restore(
    module: nn.Module, attributes: dict[str, tuple[Any, Any]]
) -> None:
    for name in module.__dict__.keys() - attributes.keys():
        del module.__dict__[name]
    for name, (value, content) in attributes.items():
        module.__dict__[name] = value
        if content is not None:
            _refill(value, content)


def _refill(value: Any, content: Any) -> None:
    """Give a container its former content; most did not change."""
    if isinstance(value, MutableMapping):
        same = [*map(id, value.values())] == [*map(id, content.values())]
        if same and list(value) == list(content):
            return
        value.clear()
        value.update(content)
    elif isinstance(value, list):
        value[:] = content
    else:
        value.clear()
        value.update(content)
