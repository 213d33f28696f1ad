r"""Bounds of the quantities that components of the head compute, from their stored tensors.

With the features of channel j in :math:`[l_j, h_j]` and :math:`m_j` their largest distance from a centre,

.. math:: |x_j - \mu_j| \le m_j, \qquad |W (x - \mu)|_i \le \sum_j |W_{ij}|\, m_j, \qquad
          \lVert W (x - \mu) \rVert^2 \le \sum_i \Big(\sum_j |W_{ij}|\, m_j\Big)^2

for a Gaussian, and for a bank of centred vectors :math:`v`

.. math:: |x \cdot v| \le \sum_j |v_j|\, m_j, \qquad \lVert x - v \rVert^2 \le \sum_j (m_j + |v_j|)^2
"""

from __future__ import annotations

import math
from functools import singledispatch
from typing import NamedTuple

import torch
from torch import Tensor, nn

from anomedge.bundle.ranges import Part, Range
from anomedge.components import MemoryBank, MultiVariateGaussian
from anomedge.errors import ExportError

__all__ = [
    "FeatureRange",
    "bounds_of",
    "computed",
    "finite",
    "four_digits",
    "largest",
    "stored",
]

_PATCHES_AT_ONCE = 256
_ROUNDED = 5e-4
"""Rounding error of the four digits that a range is stored with, relative."""


class FeatureRange(NamedTuple):
    """Range of the features that the head must handle.

    Attributes:
        low: smallest value of each channel, (d,).
        high: largest value of each channel, (d,).
        distance: largest distance observed.
        relevant: smallest distance that can change a decision.
    """

    low: Tensor
    high: Tensor
    distance: float
    relevant: float


@singledispatch
def bounds_of(
    _component: nn.Module, _name: str, _features: FeatureRange
) -> list[Range]:
    """Return the ranges of the quantities that a component computes; none for components without known bounds.

    Args:
        _component: a component of the head.
        _name: its name in the detector.
        _features: range of the features that it gets.
    """
    return []


@bounds_of.register
def _(
    component: MultiVariateGaussian, name: str, features: FeatureRange
) -> list[Range]:
    if len(features.low) != len(component.mean):
        return []
    offset = _largest_offset(features, component.mean).T
    largest_sum, squares = _bounds_of_whitening(component, offset)
    return [
        computed(f"{name}: x - mean", bound=float(offset.max())),
        computed(f"{name}: W (x - mean)", bound=largest_sum),
        computed(
            f"{name}: |W (x - mean)|^2",
            seen=features.distance**2,
            bound=float(squares.max()),
            least=features.relevant**2,
        ),
    ]


def _bounds_of_whitening(
    gaussian: MultiVariateGaussian, offset: Tensor
) -> tuple[float, Tensor]:
    """Return the bound of W (x - mean), and of its square at each patch, (P,), for offsets (P, d)."""
    largest_sum = 0.0
    squares = torch.zeros(len(offset), dtype=torch.float64)
    for name, rows in gaussian.named_buffers():
        if not name.startswith("rows"):
            continue
        for start in range(0, len(rows), _PATCHES_AT_ONCE):
            patches = slice(start, start + _PATCHES_AT_ONCE)
            used = offset[patches, None, : rows.shape[1]]
            sums = torch.matmul(used, rows[patches].abs().double())[:, 0]
            largest_sum = max(largest_sum, float(sums.max()))
            squares[patches] += sums.square().sum(dim=1)
    return largest_sum, squares


@bounds_of.register
def _(component: MemoryBank, name: str, features: FeatureRange) -> list[Range]:
    if len(features.low) != len(component.centre):
        return []
    offset = _largest_offset(features, component.centre)
    vectors = component.vectors.abs().double()
    product = float((vectors @ offset).max())
    norm = float(component.half_norms.abs().max())
    square = float((vectors + offset).square().sum(dim=1).max())
    return [
        computed(f"{name}: x - centre", bound=float(offset.max())),
        computed(f"{name}: |v|^2 / 2", seen=norm, bound=norm),
        computed(f"{name}: x v", bound=product),
        computed(f"{name}: |v|^2 / 2 - x v", bound=norm + product),
        computed(
            f"{name}: |x - v|^2",
            seen=features.distance**2,
            bound=square,
            least=features.relevant**2,
        ),
        computed(f"{name}: |x - v|", seen=features.distance, bound=square**0.5),
        # Softmax subtracts its largest argument; without that, exp(|x - v|) would exceed float16 from 11.1 on.
        computed(f"{name}: exp in the re-weighting's Softmax", bound=1.0),
    ]


def _largest_offset(features: FeatureRange, centre: Tensor) -> Tensor:
    """Return the largest distance of features from a centre, (d,) or (d, P), in float64."""
    column = (-1, *[1] * (centre.ndim - 1))
    low = features.low.double().reshape(column) - centre.double()
    high = features.high.double().reshape(column) - centre.double()
    return torch.maximum(low.abs(), high.abs())


def stored(
    part: Part, name: str, value: float, least: float | None = None
) -> Range:
    """Return the range of a stored tensor that the export halves; `value` is its largest magnitude."""
    return Range(
        part=part,
        name=name,
        halved=True,
        seen=four_digits(value),
        bound=four_digits(value),
        least=least and four_digits(least),
    )


def computed(
    name: str,
    *,
    seen: float | None = None,
    bound: float | None = None,
    least: float | None = None,
) -> Range:
    """Return the range of a quantity that the head computes."""
    upper = None if bound is None else four_digits(bound * (1 + _ROUNDED))
    return Range(
        part="head",
        name=name,
        seen=seen and four_digits(seen),
        bound=upper,
        least=least and four_digits(least),
    )


def largest(x: Tensor) -> float:
    """Return the largest magnitude of a tensor, 0 for an empty one."""
    if not x.numel():
        return 0.0
    low, high = torch.aminmax(x.detach())
    return max(-float(low), float(high))


def finite(name: str, value: float) -> float:
    """Return a value.

    Raises:
        ExportError: it is not finite.
    """
    if not math.isfinite(value):
        raise ExportError(
            f"{name} comes to {value} in float32; expected finite numbers: fit on another backbone"
        )
    return value


def four_digits(value: float) -> float:
    """Round to four significant digits, because further ones differ between processors."""
    return float(f"{value:.3e}")
