"""Check scalar arguments of components: numbers of Python or numpy and 0-dim tensors; bools are refused.

Components store Python numbers, because numpy scalars would leak into exported
graphs and messages.
"""

import operator
from typing import Any

from anomedge.errors import InputError

__all__ = ["number", "real", "seed", "sizes", "whole"]


def number(value: Any, name: str, expected: str = "a number") -> int | float:
    """Convert a value to a Python number: an int if it has an integer type, else a float.

    Args:
        value: a number of Python or numpy, or a 0-dim tensor.
        name: name of the argument, for the error message.
        expected: description of valid values, for the error message.

    >>> import numpy as np, torch
    >>> number(np.int64(3), "k"), number(torch.tensor(0.5), "k"), number(3.0, "k")
    (3, 0.5, 3.0)

    Raises:
        InputError: a bool, a string, an array with axes, or anything that is
            not a real number.
    """
    if _is_scalar(value):
        for convert in (operator.index, _as_float):
            try:
                return convert(value)
            except (TypeError, ValueError):
                continue
    raise InputError(f"got {name}={_shown(value)}; expected {expected}")


def whole(value: Any, name: str, least: int | None = 1) -> int:
    """Convert a value to an int and check that it is at least `least`.

    >>> import torch
    >>> whole(torch.tensor(3), "k")
    3

    Raises:
        InputError: not of an integer type, a bool, or below `least`.
    """
    expected = (
        "a whole number" if least is None else f"a whole number >= {least}"
    )
    if _is_scalar(value):
        try:
            found = operator.index(value)
        except TypeError:
            found = None
        if found is not None and (least is None or found >= least):
            return found
    raise InputError(f"got {name}={_shown(value)}; expected {expected}")


def real(value: Any, name: str) -> float:
    """Convert a value to a float; infinities and NaN are accepted.

    Raises:
        InputError: a bool, a string, an array with axes, or anything that is
            not a real number.
    """
    return float(number(value, name))


def seed(value: Any, name: str) -> int:
    """Convert a value to a seed of torch's generators, -2^63 to 2^64 - 1.

    Raises:
        InputError: not of an integer type, a bool, or out of range.
    """
    found = whole(value, name, least=None)
    if not -(2**63) <= found < 2**64:
        raise InputError(
            f"got {name}={found}; expected a seed from -2^63 to 2^64 - 1"
        )
    return found


def sizes(shape: Any) -> tuple[int, ...] | None:
    """Convert a shape to a tuple of ints, each at least 1; None if it is not a valid shape.

    >>> sizes([3, 4]), sizes(3), sizes([3, 0]), sizes([2.5])
    ((3, 4), None, None, None)
    """
    try:
        return tuple(whole(n, "size") for n in shape)
    except (TypeError, InputError):
        return None


def _is_scalar(value: Any) -> bool:
    """Whether a value has no axes and is neither a bool nor text."""
    is_bool = isinstance(value, bool) or str(getattr(value, "dtype", "")) in {
        "bool",
        "torch.bool",
    }
    return (
        not is_bool
        and not isinstance(value, (str, bytes))
        and getattr(value, "ndim", 0) == 0
    )


def _as_float(value: Any) -> float:
    """Convert a value to a float; raise TypeError for a complex one."""
    if "complex" in str(getattr(value, "dtype", "")):
        raise TypeError("complex")
    return float(value)


def _shown(value: Any) -> str:
    """Format a value in one short line; an array by its shape."""
    if getattr(value, "ndim", 0):
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    return " ".join(repr(value).split())
