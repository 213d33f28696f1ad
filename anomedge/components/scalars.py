"""Scalar arguments of components: Python and numpy numbers and 0-dim tensors alike; bools are not numbers.

Components keep Python numbers: a numpy scalar kept as an attribute would enter exported graphs and messages.
"""

import operator
from typing import Any

from anomedge.errors import InputError

__all__ = ["number", "real", "seed", "sizes", "whole"]


def number(value: Any, name: str, expected: str = "a number") -> int | float:
    """The value as a Python number: an int if it is of an integer type, else a float.

    Args:
        value: a number of Python or numpy, or a 0-dim tensor.
        name: of the argument, for the message.
        expected: what the argument takes, for the message.

    >>> import numpy as np, torch
    >>> number(np.int64(3), "k"), number(torch.tensor(0.5), "k"), number(3.0, "k")
    (3, 0.5, 3.0)

    Raises:
        InputError: a bool, a string, an array with axes, or anything that is not a real number.
    """
    if _is_scalar(value):
        for convert in (operator.index, _as_float):
            try:
                return convert(value)
            except (TypeError, ValueError):
                continue
    raise InputError(f"got {name}={_shown(value)}; expected {expected}")


def whole(value: Any, name: str, least: int | None = 1) -> int:
    """The value as an int, at least `least`.

    >>> import torch
    >>> whole(torch.tensor(3), "k")
    3

    Raises:
        InputError: not of an integer type, a bool, or below `least`.
    """
    expected = "a whole number" if least is None else f"a whole number >= {least}"
    if _is_scalar(value):
        try:
            found = operator.index(value)
        except TypeError:
            found = None
        if found is not None and (least is None or found >= least):
            return found
    raise InputError(f"got {name}={_shown(value)}; expected {expected}")


def real(value: Any, name: str) -> float:
    """The value as a float; infinities and NaN pass.

    Raises:
        InputError: a bool, a string, an array with axes, or anything that is not a real number.
    """
    return float(number(value, name))


def seed(value: Any, name: str) -> int:
    """The value as a seed of torch's generators, -2^63 to 2^64 - 1.

    Raises:
        InputError: not of an integer type, a bool, or out of range.
    """
    found = whole(value, name, least=None)
    if not -(2**63) <= found < 2**64:
        raise InputError(f"got {name}={found}; expected a seed from -2^63 to 2^64 - 1")
    return found


def sizes(shape: Any) -> tuple[int, ...] | None:
    """A shape as ints, each at least 1; None if it is no such shape.

    >>> sizes([3, 4]), sizes(3), sizes([3, 0]), sizes([2.5])
    ((3, 4), None, None, None)
    """
    try:
        return tuple(whole(n, "size") for n in shape)
    except (TypeError, InputError):
        return None


def _is_scalar(value: Any) -> bool:
    """Whether a value has no axes and is neither a bool nor text."""
    is_bool = isinstance(value, bool) or str(getattr(value, "dtype", "")) in {"bool", "torch.bool"}
    return not is_bool and not isinstance(value, (str, bytes)) and getattr(value, "ndim", 0) == 0


def _as_float(value: Any) -> float:
    """The value as a float; a complex one raises TypeError."""
    if "complex" in str(getattr(value, "dtype", "")):
        raise TypeError("complex")
    return float(value)


def _shown(value: Any) -> str:
    """The value in one short line: arrays by their shape."""
    if getattr(value, "ndim", 0):
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    return " ".join(repr(value).split())
