"""Vectors of unit length."""

import torch
from torch import Tensor

__all__ = ["unit_length"]

_LEAST_LENGTH = 1e-12


def unit_length(features: Tensor) -> Tensor:
    """Divide features (B, C, h, w) by their length along the channels; zeros stay zeros.

    It is `torch.nn.functional.normalize` without its expansion to the batch's size, which TensorRT does not build.

    >>> unit_length(torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1)).flatten()
    tensor([0.6000, 0.8000])
    """
    length: Tensor = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return features / length.clamp_min(_LEAST_LENGTH)
