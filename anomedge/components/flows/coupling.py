r"""Affine coupling of one half of the channels.

.. math:: u_2 = x_2 \odot \exp\!\big(\alpha \tanh s\big) + t, \qquad
          (s, t) = 0.1\, \mathrm{subnet}(x_1, c), \qquad
          J = \sum \alpha \tanh s

A volume-preserving (GIN) coupling subtracts from :math:`\alpha \tanh s` its
mean over each item, so that J = 0 (Sorrenson et al. 2020, "Disentanglement by
Nonlinear ICA with General Incompressible-flow Networks", arXiv:2001.04872).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from anomedge.components.module_backbones import first_line
from anomedge.errors import InputError

__all__ = ["affine_coupling", "coefficients"]

_SUBNET_SCALE = 0.1


def affine_coupling(
    x: Tensor, a: Tensor, clamp: float, *, gin: bool, rev: bool
) -> tuple[Tensor, Tensor]:
    """Scale and shift x by the output of the subnet, or invert that.

    Args:
        x: the second half of the channels, (B, C2, ...).
        a: output of the subnet, (B, 2 C2, ...).
        clamp: alpha.
        gin: preserve the volume.
        rev: invert.

    Returns:
        The mapped half (B, C2, ...) and J (B,) of this direction.
    """
    s, t = torch.split(a * _SUBNET_SCALE, x.shape[1], dim=1)
    axes = tuple(range(1, x.ndim))
    log_scale = clamp * torch.tanh(s)
    if gin:
        log_scale = log_scale - log_scale.mean(dim=axes, keepdim=True)
        # Exactly 0; the sum of the differences would be rounding errors.
        log_jacobian = x.new_zeros(x.shape[0])
    else:
        log_jacobian = log_scale.sum(dim=axes)
    if rev:
        return (x - t) * torch.exp(-log_scale), -log_jacobian
    return x * torch.exp(log_scale) + t, log_jacobian


def coefficients(
    subnet: Callable[[Tensor], Any],
    x1: Tensor,
    conditions: Sequence[Tensor],
    channels: int,
) -> Tensor:
    """Run the subnet on the first half of the channels and the conditions.

    Args:
        subnet: maps (B, C1 + condition channels, ...) to (B, channels, ...).
        x1: the first half of the channels, (B, C1, ...).
        conditions: (B, condition channels, ...) each.
        channels: expected number of output channels.

    Raises:
        InputError: the subnet fails or returns another shape.
    """
    # The concatenation is a copy, so a subnet may write to its input.
    given = torch.cat((x1, *conditions), dim=1)
    expected = (x1.shape[0], channels, *x1.shape[2:])
    try:
        a = subnet(given)
    except torch.OutOfMemoryError:
        raise
    except (IndexError, RuntimeError, ValueError) as error:
        raise InputError(
            f"got a subnet that fails on {tuple(given.shape)} "
            f"({first_line(error)}); expected one that gives {expected}: "
            "channels are axis 1, so torch.nn.Linear fits vectors only, and "
            "images take convolutions"
        ) from error
    if not isinstance(a, Tensor) or a.shape != expected:
        got = tuple(a.shape) if isinstance(a, Tensor) else type(a).__name__
        raise InputError(
            f"got {got} from the subnet for {tuple(given.shape)}; expected "
            f"{expected}: as many channels as it was constructed for, and "
            "padding that keeps the size"
        )
    return a
