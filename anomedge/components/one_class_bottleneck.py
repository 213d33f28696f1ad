r"""One-class bottleneck embedding of the feature maps of several layers.

Each map but the coarsest passes 3x3 convolutions of stride 2, one per level,
until it has the coarsest one's size and channels; the maps are concatenated and
embedded by residual blocks, which halve the sides once more:

.. math:: \phi = g\big([d_1(F^1), \ldots, d_{K-1}(F^{K-1}),\, F^K]\big)

with :math:`F^k` (C_k, h_k, w_k), :math:`h_k = 2 h_{k+1}`, and :math:`\phi`
(2 C_K, h_K / 2, w_K / 2) (Deng & Li 2022, "Anomaly detection via reverse
distillation from one-class embedding", arXiv:2201.10703, section 3.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from anomedge.components.buffers import plain_state
from anomedge.components.residual_blocks import (
    BlockKind,
    convolution,
    he_initialised,
    residual_layer,
)

__all__ = ["OneClassBottleneck"]


class OneClassBottleneck(nn.Module):
    """Fuse and embed feature maps of which each has twice the sides of the next.

    Args:
        channels: C_1 to C_K, the finest layer first.
        kind: kind of the residual blocks.
        count: number of residual blocks.

    Example:
        >>> embed = OneClassBottleneck([4, 6], BlockKind(), count=2)
        >>> embed([torch.zeros(1, 4, 8, 12), torch.zeros(1, 6, 4, 6)]).shape
        torch.Size([1, 12, 2, 3])
    """

    @plain_state
    def __init__(
        self, channels: Sequence[int], kind: BlockKind, count: int
    ) -> None:
        super().__init__()
        self.halve = nn.ModuleList(
            _halving(channels[level:]) for level in range(len(channels) - 1)
        )
        coarsest = channels[-1]
        self.embed = residual_layer(
            kind, len(channels) * coarsest, 2 * coarsest, "halve", count
        )
        he_initialised(self)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Map K feature maps (B, C_k, h_k, w_k) to (B, 2 C_K, h_K / 2, w_K / 2)."""
        *finer, coarsest = features
        small = [halve(x) for halve, x in zip(self.halve, finer, strict=True)]
        embedded: Tensor = self.embed(torch.cat([*small, coarsest], dim=1))
        return embedded


def _halving(channels: Sequence[int]) -> nn.Sequential:
    """Return one convolution of stride 2 for each step from the first to the last of the channels."""
    steps: list[nn.Module] = []
    for c_in, c_out in pairwise(channels):
        steps += [
            convolution(c_in, c_out, "halve"),
            nn.BatchNorm2d(c_out),
            nn.ReLU(),
        ]
    return nn.Sequential(*steps)
