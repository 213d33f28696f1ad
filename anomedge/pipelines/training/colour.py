"""Random changes of colour of the images of a batch, and grey images."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["grey_of", "jittered"]

_WEIGHTS = (0.2989, 0.587, 0.114)
_LEAST, _MOST = 0.8, 1.2


def grey_of(images: Tensor) -> Tensor:
    """Return the luminance (B, 1, H, W) of images (B, 3, H, W), with the weights of ITU-R BT.601."""
    weights = torch.tensor(_WEIGHTS, dtype=images.dtype, device=images.device)
    return (images * weights.reshape(3, 1, 1)).sum(dim=1, keepdim=True)


def jittered(images: Tensor) -> Tensor:
    r"""Return images with another brightness, contrast or saturation, in [0, 1].

    An image x becomes :math:`\lambda x + (1 - \lambda) b` with :math:`\lambda \sim U(0.8, 1.2)` and, at random, b = 0
    (brightness), the mean of its luminance (contrast) or its luminance (saturation). Each image has random choices of
    its own, from torch's global generator.
    """
    grey = grey_of(images)
    mean = grey.mean(dim=(2, 3), keepdim=True).expand_as(grey)
    bases = torch.stack([torch.zeros_like(grey), mean, grey])
    count = len(images)
    kinds = torch.randint(3, (count,)).to(images.device)
    factors = torch.empty(count, 1, 1, 1).uniform_(_LEAST, _MOST).to(images)
    base = bases[kinds, torch.arange(count, device=images.device)]
    return (factors * images + (1 - factors) * base).clamp(0, 1)
