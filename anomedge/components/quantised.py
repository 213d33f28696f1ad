"""Signed 8-bit rounding and its inverse as operators of torch, which the export writes as QuantizeLinear and DequantizeLinear.

Zero is zero, and the scale is a constant: every runtime recognises this form and multiplies in integers.
"""

import torch
from torch import Tensor

__all__ = ["dequantised", "quantised"]


@torch.library.custom_op("anomedge::quantised", mutates_args=())
def quantised(x: Tensor, scale: Tensor) -> Tensor:
    """Round x / scale to int8, half to even; values beyond [-128, 127] saturate.

    Args:
        x: floating point, any shape.
        scale: a scalar of the dtype of x, above 0.

    >>> quantised(torch.tensor([0.5, 1.5, -300.0]), torch.tensor(1.0))
    tensor([   0,    2, -128], dtype=torch.int8)
    """
    return torch.round(x / scale).clamp(-128, 127).to(torch.int8)


@torch.library.custom_op("anomedge::dequantised", mutates_args=())
def dequantised(x: Tensor, scale: Tensor) -> Tensor:
    """Multiply int8 by its scale.

    Args:
        x: int8, any shape.
        scale: a scalar, or one number for each index of the last axis.

    >>> dequantised(torch.tensor([[2, -3]], dtype=torch.int8), torch.tensor([0.5, 2.0]))
    tensor([[ 1., -6.]])
    """
    return x.to(scale.dtype) * scale


@quantised.register_fake
def _(x: Tensor, scale: Tensor) -> Tensor:
    del scale
    return torch.empty_like(x, dtype=torch.int8)


@dequantised.register_fake
def _(x: Tensor, scale: Tensor) -> Tensor:
    return torch.empty_like(x, dtype=scale.dtype)
