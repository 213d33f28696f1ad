"""Checks of the arguments of flow blocks."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from anomedge.components.flows.invertible import Shape
from anomedge.components.scalars import real, sizes
from anomedge.errors import InputError

__all__ = ["checked_clamp", "checked_constructor", "checked_dims"]


def checked_dims(
    dims_in: Sequence[Shape], dims_c: Sequence[Shape]
) -> list[tuple[int, ...]]:
    """Return the shapes of the input and of the conditions, as ints.

    Raises:
        InputError: more than one input, no shape, fewer than 2 channels, or a
            condition with other spatial sizes than the input.
    """
    shapes = [sizes(shape) for shape in [*dims_in, *dims_c]]
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes):
        raise InputError(
            f"got dims_in={dims_in}, dims_c={dims_c}; expected lists of "
            "shapes: give [(C,)] or [(C, H, W)]"
        )
    if len(dims_in) != 1 or not 1 <= len(known[0]) <= 4:
        raise InputError(
            f"got dims_in={dims_in}; expected one shape of 1 to 4 axes: "
            "give [(C,)] or [(C, H, W)]"
        )
    channels, *spatial = known[0]
    if channels < 2:
        raise InputError(
            "got 1 channel; expected at least 2: one half is transformed "
            "given the other"
        )
    for shape in known[1:]:
        if list(shape[1:]) != spatial:
            raise InputError(
                f"got a condition {shape} beside an input {known[0]}; expected "
                "the same sizes after the channels: resize or broadcast the "
                "condition"
            )
    return known


def checked_clamp(given: Any) -> float:
    """Return alpha as a float.

    Raises:
        InputError: negative or not finite.
    """
    clamp = real(given, "affine_clamping")
    if not 0 <= clamp < math.inf:
        raise InputError(
            f"got affine_clamping={clamp}; "
            "expected a finite number >= 0, such as 2.0"
        )
    return clamp


def checked_constructor(given: Any) -> Callable[[int, int], nn.Module]:
    """Return the constructor of the subnet.

    Raises:
        InputError: not a callable.
    """
    if not callable(given):
        raise InputError(
            f"got subnet_constructor={given!r}; expected a callable of "
            "(channels in, channels out) that gives a module, such as "
            "torch.nn.Linear"
        )
    constructor: Callable[[int, int], nn.Module] = given
    return constructor
