r"""Patch description networks of EfficientAD: PDN-S and PDN-M (Batzner, Heckler and König 2023, arXiv:2303.14535).

Few convolutions without residuals or norms describe each patch of 33x33 pixels
by C numbers, at a stride of 4. The tables of the paper's appendix, for images
(H, W) without padding:

| PDN-S                | PDN-M                | output                   |
|----------------------|----------------------|--------------------------|
| 4x4, 128, ReLU       | 4x4, 256, ReLU       |                          |
| 2x2 mean, stride 2   | 2x2 mean, stride 2   |                          |
| 4x4, 256, ReLU       | 4x4, 512, ReLU       |                          |
| 2x2 mean, stride 2   | 2x2 mean, stride 2   |                          |
|                      | 1x1, 512, ReLU       |                          |
| 3x3, 256, ReLU       | 3x3, 512, ReLU       |                          |
| 4x4, C               | 4x4, C, ReLU         | C, H/4 - 8, W/4 - 8      |
|                      | 1x1, C               |                          |

With padding, the maps are H/4 x W/4. Quotients are rounded up.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from torch import nn

from anomedge.components.scalars import whole

__all__ = [
    "MOST_CHANNELS",
    "PatchDescriptionNetwork",
    "PdnSize",
    "description_grid",
]

MOST_CHANNELS = 4096
"""Largest number of channels of a detector's networks."""
PdnSize = Literal["small", "medium"]
Named = tuple[str, nn.Module]


class _Layer(NamedTuple):
    """A convolution: output channels, side of the kernel, its padding, and whether a mean over 2x2 follows."""

    channels: int
    kernel: int
    padding: int
    pooled: bool = False


class PatchDescriptionNetwork(nn.Sequential):
    """PDN-S or PDN-M, with random weights.

    Maps images (B, 3, H, W), scaled as ImageNet's, to descriptions (B, C, h,
    w); see `description_grid` for (h, w). All convolutions have a bias.

    Args:
        channels: C.
        model_size: "small" or "medium".
        padding: whether images and maps are padded with zeros.

    Example:
        >>> import torch
        >>> network = PatchDescriptionNetwork(5)
        >>> network(torch.zeros(2, 3, 64, 96)).shape
        torch.Size([2, 5, 8, 16])
    """

    def __init__(
        self,
        channels: int,
        model_size: PdnSize = "small",
        *,
        padding: bool = False,
    ) -> None:
        channels = whole(channels, "channels")
        layers = _LAYERS[model_size](channels)
        super().__init__(OrderedDict(_modules(layers, padding)))
        self.channels = channels


def description_grid(
    size: tuple[int, int], *, padding: bool
) -> tuple[int, int]:
    """Return height and width of the descriptions of images (H, W).

    >>> description_grid((256, 130), padding=False), description_grid((256, 130), padding=True)
    ((56, 25), (64, 33))
    """
    lost = 0 if padding else 8
    height, width = (-(-side // 4) - lost for side in size)
    return height, width


def _small(channels: int) -> Sequence[_Layer]:
    return (
        _Layer(128, 4, 3, pooled=True),
        _Layer(256, 4, 3, pooled=True),
        _Layer(256, 3, 1),
        _Layer(channels, 4, 0),
    )


def _medium(channels: int) -> Sequence[_Layer]:
    return (
        _Layer(256, 4, 3, pooled=True),
        _Layer(512, 4, 3, pooled=True),
        _Layer(512, 1, 0),
        _Layer(512, 3, 1),
        _Layer(channels, 4, 0),
        _Layer(channels, 1, 0),
    )


_LAYERS = {"small": _small, "medium": _medium}


def _modules(layers: Sequence[_Layer], padding: bool) -> Iterator[Named]:
    """Yield the modules by name: `conv1`, `relu1`, `pool1`, `conv2`, ...; no ReLU after the last convolution."""
    given = 3
    for number, layer in enumerate(layers, start=1):
        pad = layer.padding if padding else 0
        yield (
            f"conv{number}",
            nn.Conv2d(given, layer.channels, layer.kernel, padding=pad),
        )
        given = layer.channels
        if number < len(layers):
            yield f"relu{number}", nn.ReLU()
        if layer.pooled:
            border = 1 if padding else 0
            yield f"pool{number}", nn.AvgPool2d(2, stride=2, padding=border)
