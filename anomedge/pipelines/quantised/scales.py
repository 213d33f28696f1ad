r"""Scales with which every runtime computes a quantised product alike, to the last bit.

A quantised product is :math:`\sum_i (s\,q_i)(t\,v_i) + b`, with levels :math:`q`, :math:`v` of at most 7 bits and a sign. Let
both scales be :math:`2^k` or :math:`1.5 \cdot 2^k`, and :math:`b` a multiple of their product. Then every term and every
partial sum is a multiple of :math:`s\,t` of at most 24 bits: float32 holds them exactly, in any order, and so do
integers that are scaled afterwards. Division by :math:`s` is exact as well, or has the same nearest level as
multiplication by the rounded :math:`1 / s`.

Sums of more than 24 bits are rounded; thousands of terms near both ends of their ranges would have to agree in sign.

Layers that stay in float32 have such grids too, finer ones: inputs of 16 times as many levels, weights of four times as
many. A convolution of arbitrary numbers differs in its last digits between runtimes, and a value next to the middle
between two levels of the next quantised layer would get the other level.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "FINER",
    "LARGEST_FINE_LEVEL",
    "LARGEST_LEVEL",
    "is_short",
    "levels_of",
    "neighbours",
    "on_grid",
    "weight_scales",
]

LARGEST_LEVEL = 127
LARGEST_FINE_LEVEL = 511
"""Of the weights of a layer in float32."""
FINER = 16
"""Levels of the input of a layer in float32, for each level of INT8."""
_LARGEST_BIAS = 1 << 22
"""Most units of a bias: two bits are left for the sum."""


def neighbours(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the nearest short scales that are at most x, and at least x.

    Args:
        x: float64, any shape, above 0.

    >>> below, above = neighbours(torch.tensor([1.0, 1.2, 1.7, 0.1]).double())
    >>> below.tolist(), above.tolist()
    ([1.0, 1.0, 1.5, 0.09375], [1.0, 1.5, 2.0, 0.125])
    """
    mantissa, exponent = torch.frexp(x)
    half, three_quarters, one = (
        torch.ldexp(torch.full_like(x, each), exponent)
        for each in (0.5, 0.75, 1.0)
    )
    below = torch.where(mantissa < 0.75, half, three_quarters)
    above = torch.where(mantissa <= 0.75, three_quarters, one)
    return below, torch.where(mantissa == 0.5, half, above)


def is_short(scale: float) -> bool:
    """Return whether a scale is a power of two, or 1.5 times one.

    >>> is_short(0.375), is_short(0.3)
    (True, False)
    """
    below, above = neighbours(torch.tensor(scale, dtype=torch.float64))
    return bool(below == above)


def weight_scales(
    weights: Tensor,
    bias: Tensor | None,
    input_scale: float,
    largest_level: int = LARGEST_LEVEL,
) -> Tensor:
    """Return the scale of each output channel of weights (O, ...), as float32 (O,).

    The largest weight divided by `largest_level` lies between two short scales; the one with the smaller squared error is
    taken. If the bias of a channel would then have more than 2^22 units, the scale is larger.
    """
    exact = weights.flatten(1).double()
    largest = exact.abs().amax(dim=1) / largest_level
    largest = torch.where(largest > 0, largest, 1.0 / largest_level)
    below, above = neighbours(largest)
    errors = [
        _squared_error(exact, each, largest_level) for each in (below, above)
    ]
    scales = torch.where(errors[0] < errors[1], below, above)
    if bias is not None:
        least = bias.double().abs() / (input_scale * _LARGEST_BIAS)
        least = torch.where(least > 0, least, scales)
        scales = torch.maximum(scales, neighbours(least)[1])
    return scales.float()


def on_grid(bias: Tensor, units: Tensor) -> Tensor:
    """Round a bias (O,) to multiples of the unit of each channel, (O,).

    >>> on_grid(torch.tensor([0.3, -1.0]), torch.tensor([0.25, 0.75]))
    tensor([ 0.2500, -0.7500])
    """
    exact = units.double()
    return ((bias.double() / exact).round() * exact).float()


def levels_of(weights: Tensor, scales: Tensor, largest_level: int) -> Tensor:
    """Return the levels of weights (O, ...) for scales (O,), whole numbers of the weights' dtype.

    >>> weights = torch.tensor([[127.0, -64.2], [200.0, 0.0]])
    >>> levels_of(weights, torch.ones(2), 127).tolist()
    [[127.0, -64.0], [127.0, 0.0]]
    """
    column = scales.reshape(-1, *[1] * (weights.ndim - 1))
    return (weights / column).round().clamp(-largest_level, largest_level)


def _squared_error(weights: Tensor, scales: Tensor, largest: int) -> Tensor:
    """Return the squared error of weights (O, n) on the grid of scales (O,), for each channel."""
    levels = levels_of(weights, scales, largest)
    return (levels * scales.unsqueeze(1) - weights).square().sum(dim=1)
