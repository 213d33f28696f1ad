"""Parse arguments: sizes, batches, and options that take several values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from anomedge.errors import InputError

__all__ = [
    "IS_VALUE",
    "parse_batch",
    "parse_frame",
    "parse_size",
    "spread_values",
]


def parse_size(text: str) -> tuple[int, int]:
    """Parse "HxW" into height and width.

    >>> parse_size("480x640")
    (480, 640)

    Raises:
        InputError: another form.
    """
    match = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", text)
    if match is None:
        raise InputError(
            f"got size {text!r}; expected height x width in pixels, such as 480x640"
        )
    return int(match[1]), int(match[2])


def parse_frame(text: str) -> tuple[int, int] | Literal["any"]:
    """Parse "HxW" or "any".

    >>> parse_frame("480x640"), parse_frame("any")
    ((480, 640), 'any')

    Raises:
        InputError: another form.
    """
    if text == "any":
        return "any"
    try:
        return parse_size(text)
    except InputError as error:
        raise InputError(f"{error}, or any") from error


def parse_batch(text: str) -> Any:
    """Parse "dynamic" or a number of frames.

    >>> parse_batch("dynamic"), parse_batch("4")
    ('dynamic', 4)

    Raises:
        InputError: another form.
    """
    if text == "dynamic":
        return "dynamic"
    if not text.isdecimal() or int(text) < 1:
        raise InputError(
            f"got batch {text!r}; expected 'dynamic' or a number of frames, such as 1"
        )
    return int(text)


def spread_values(
    arguments: Sequence[str],
    is_value: Mapping[str, Callable[[str], bool]] | None = None,
) -> list[str]:
    """Repeat an option before each of its values: `--batch 1 8` becomes `--batch 1 --batch 8`.

    The first value of an option is never checked. Each further argument is a value if the option's predicate accepts it,
    and ends the option's values otherwise.

    Args:
        arguments: command line.
        is_value: predicate of each option that takes several values; `IS_VALUE` by default.

    >>> spread_values(["verify", "--runtime", "ort", "openvino", "part.anomedge"])
    ['verify', '--runtime', 'ort', '--runtime', 'openvino', 'part.anomedge']
    """
    predicates = IS_VALUE if is_value is None else is_value
    spread: list[str] = []
    option, count = "", 0
    for argument in arguments:
        if argument in predicates:
            option, count = argument, 0
        elif option and count == 0:
            count = 1
        elif option and predicates[option](argument):
            spread.append(option)
        else:
            option = ""
        spread.append(argument)
    return spread


def _is_runtime(text: str) -> bool:
    from anomedge import runtimes

    kinds = runtimes.available().values()
    return any(text in {kind.name, kind.short} for kind in kinds)


def _is_precision(text: str) -> bool:
    from anomedge.precisions import PRECISIONS

    return text in PRECISIONS.names()


def _is_target(text: str) -> bool:
    from anomedge.lint.target import is_target

    return is_target(text)


def _is_layout(text: str) -> bool:
    from anomedge.layouts import LAYOUTS

    known = LAYOUTS.members().values()
    return any(text in (each.name, *each.aliases) for each in known)


IS_VALUE: Mapping[str, Callable[[str], bool]] = {
    "--batch": str.isdecimal,
    "--layout": _is_layout,
    "--precision": _is_precision,
    "--runtime": _is_runtime,
    "--target": _is_target,
}
"""Predicate of each option that takes several values after one name."""
