"""Mean and standard deviation of the channels of feature maps."""

from collections.abc import Iterable

import torch
from torch import Tensor

__all__ = ["channel_statistics"]


def channel_statistics(outputs: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each channel of maps (B, C, h, w), (1, C, 1, 1) each.

    Sums are in float64; the deviation is that of the population.

    >>> mean, std = channel_statistics([torch.tensor([[[[1.0, 3.0]]]])])
    >>> mean.item(), std.item()
    (2.0, 1.0)
    """
    first = second = torch.zeros((), dtype=torch.float64)
    count = 0
    for output in outputs:
        wide = output.double()
        axes = (0, 2, 3)
        first = first + wide.sum(dim=axes, keepdim=True)
        second = second + wide.square().sum(dim=axes, keepdim=True)
        count += wide[:, 0].numel()
    mean = first / count
    variance = (second / count - mean.square()).clamp_min(0)
    dtype = torch.get_default_dtype()
    return mean.to(dtype), variance.sqrt().to(dtype)
