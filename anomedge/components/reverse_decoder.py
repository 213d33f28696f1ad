r"""A decoder in the reverse order of an encoder, from an embedding to the encoder's feature maps.

.. math:: \hat F^K = D_K(\phi), \qquad \hat F^k = D_k(\hat F^{k+1})

Each layer :math:`D_k` is a row of residual blocks that doubles the sides, so
that :math:`\hat F^k` has the shape of the encoder's :math:`F^k` (C_k, h_k, w_k)
for an embedding (2 C_K, h_K / 2, w_K / 2) (Deng & Li 2022, arXiv:2201.10703,
section 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from anomedge.components.buffers import plain_state
from anomedge.components.residual_blocks import (
    BlockKind,
    he_initialised,
    residual_layer,
)

__all__ = ["ReverseDecoder"]


class ReverseDecoder(nn.Module):
    """Decode an embedding to feature maps of which each has twice the sides of the next.

    Args:
        channels: C_1 to C_K, the finest layer first.
        kind: kind of the residual blocks.
        counts: number of residual blocks of D_K to D_1, in order of
            computation.

    Example:
        >>> import torch
        >>> decode = ReverseDecoder([4, 6], BlockKind(), counts=[2, 2])
        >>> [tuple(x.shape) for x in decode(torch.zeros(1, 12, 2, 3))]
        [(1, 4, 8, 12), (1, 6, 4, 6)]
    """

    @plain_state
    def __init__(
        self, channels: Sequence[int], kind: BlockKind, counts: Sequence[int]
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        c_in = 2 * channels[-1]
        for c_out, count in zip(reversed(channels), counts, strict=True):
            layer = residual_layer(kind, c_in, c_out, "double", count)
            self.layers.append(layer)
            c_in = c_out
        he_initialised(self)

    def forward(self, embedding: Tensor) -> list[Tensor]:
        """Map (B, 2 C_K, h_K / 2, w_K / 2) to K feature maps (B, C_k, h_k, w_k), the finest first."""
        found: list[Tensor] = []
        x = embedding
        for layer in self.layers:
            x = layer(x)
            found.insert(0, x)
        return found
