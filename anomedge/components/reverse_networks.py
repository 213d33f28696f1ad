"""Bottleneck and decoder of reverse distillation for an encoder.

For a ResNet, both have its kind of blocks and the decoder its number of blocks
per layer, as in the paper's code. Other encoders get two basic blocks per layer.
Their feature maps may be negative, as those of EfficientNet's layers, which end
without a rectifier; so do the layers of their decoder.
"""

from __future__ import annotations

from collections.abc import Sequence

from anomedge.components.one_class_bottleneck import OneClassBottleneck
from anomedge.components.residual_blocks import BlockKind
from anomedge.components.reverse_decoder import ReverseDecoder

__all__ = ["RESNETS", "reverse_networks"]

_BASIC = BlockKind()
_BOTTLENECK = BlockKind(expansion=4)
_WIDE = BlockKind(expansion=4, width=128)
_SIGNED = BlockKind(rectified=False)
_COUNT = 2

RESNETS: dict[str, tuple[BlockKind, tuple[int, ...]]] = {
    "resnet18": (_BASIC, (2, 2, 2, 2)),
    "resnet34": (_BASIC, (3, 4, 6, 3)),
    "resnet50": (_BOTTLENECK, (3, 4, 6, 3)),
    "resnet101": (_BOTTLENECK, (3, 4, 23, 3)),
    "resnet152": (_BOTTLENECK, (3, 8, 36, 3)),
    "resnext50_32x4d": (BlockKind(4, width=4, groups=32), (3, 4, 6, 3)),
    "resnext101_32x8d": (BlockKind(4, width=8, groups=32), (3, 4, 23, 3)),
    "wide_resnet50_2": (_WIDE, (3, 4, 6, 3)),
    "wide_resnet101_2": (_WIDE, (3, 4, 23, 3)),
}
"""Kind and number of the blocks of each layer of the decoder, the coarsest layer first."""


def reverse_networks(
    backbone: str, channels: Sequence[int]
) -> tuple[OneClassBottleneck, ReverseDecoder]:
    """Return bottleneck and decoder with random weights.

    Args:
        backbone: the encoder's architecture; a tag after a dot is ignored.
        channels: C_1 to C_K of its layers, the finest first.

    Example:
        >>> _, decoder = reverse_networks("resnet34", [64, 128, 256])
        >>> [len(layer) for layer in decoder.layers]
        [3, 4, 6]
    """
    kind, counts = RESNETS.get(backbone.split(".")[0], (_SIGNED, ()))
    # Layers beyond those of a ResNet have the number of other encoders.
    more = (_COUNT,) * len(channels)
    of_layers = (*counts, *more)[: len(channels)]
    decoder = ReverseDecoder(channels, kind, of_layers)
    if kind.expansion == 1:
        return OneClassBottleneck(channels, _BASIC, 2), decoder
    return OneClassBottleneck(channels, _BOTTLENECK, 3), decoder
