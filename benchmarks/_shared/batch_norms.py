"""Random weights that pass signals on, for backbones without a download."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

__all__ = ["calibrate"]


def calibrate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give every BatchNorm random factors, none of them zero, and the statistics of the images.

    Args:
        network: left in evaluation mode.
        batches: normalised images (B, 3, H, W).
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.uniform_(module.bias, -0.2, 0.2)
            module.reset_running_stats()
            module.momentum = None  # the plain average over all batches
            module.train()
    with torch.no_grad():
        for batch in batches:
            network(batch)
    network.eval()
