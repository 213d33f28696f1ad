"""Options of a command line from the fields of an Options class."""

from __future__ import annotations

import inspect
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    Union,
    get_args,
    get_origin,
)

import typer

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

__all__ = ["parameter_of"]

_SIMPLE_TYPES: tuple[type, ...] = (bool, int, float)


def parameter_of(name: str, info: FieldInfo) -> inspect.Parameter:
    """Return an option with the name, type, default and description of a field."""
    flag = f"--{name.replace('_', '-')}"
    kind = _option_type(info.annotation)
    if kind is bool:
        flag = f"{flag}/--no-{flag.removeprefix('--')}"
    option = typer.Option(flag, help=_help_text(info))
    default = inspect.Parameter.empty
    if not info.is_required():
        default = info.get_default(call_default_factory=True)
        kind = kind | None
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, option],
    )


def _help_text(info: FieldInfo) -> str | None:
    """Return a field's description, with the choices of a Literal."""
    if get_origin(info.annotation) is not Literal:
        return info.description
    choices = ", ".join(str(choice) for choice in get_args(info.annotation))
    return f"{info.description or ''} One of {choices}.".strip()


def _option_type(annotation: Any) -> Any:
    """Return bool, int or float for a field of that type or None; otherwise str, which the Options class parses.

    >>> _option_type(int | None), _option_type(tuple[str, ...] | None)
    (<class 'int'>, <class 'str'>)
    """
    if get_origin(annotation) is Annotated:
        return _option_type(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        members = [a for a in get_args(annotation) if a is not type(None)]
        return _option_type(members[0]) if len(members) == 1 else str
    return annotation if annotation in _SIMPLE_TYPES else str
