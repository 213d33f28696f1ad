r"""Autoencoder of EfficientAD (Batzner, Heckler and König 2023, arXiv:2303.14535, appendix).

It learns to predict the descriptions of a teacher from a code of the whole
image, so it fails where an image combines normal parts in an abnormal way. Six
convolutions reduce an image of 256x256 to a code of 64 numbers; eight
convolutions with bilinear upsampling before each of the first seven restore the
teacher's grid.

The upsampling is a product with constant matrices, see `LinearResample2d`.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from torch import Tensor, nn

from anomedge.components.resampling import LinearResample2d
from anomedge.components.scalars import whole
from anomedge.errors import InputError
from anomedge.resample import bilinear

__all__ = ["LEAST_SIDE", "DescriptionAutoencoder"]

Size = tuple[int, int]
Named = tuple[str, nn.Module]

LEAST_SIDE = 64
"""Least height and width of an image."""

_ENCODED = (32, 32, 64, 64, 64)
_WIDTH = 64
_KERNEL = 8
_DROPOUT = 0.2


class DescriptionAutoencoder(nn.Module):
    """The autoencoder, with random weights.

    Maps images (B, 3, H, W), scaled as ImageNet's, to descriptions (B, C, h, w).
    The paper has images of 256x256 only. For others, the grids of the decoder
    are those of anomalib, and the code has a size of its own: H/32 - 7 by W/32 -
    7, or 1 where an image is smaller than 256 pixels; the encoder's last kernel
    then covers all of its input.

    Args:
        channels: C.
        size: (H, W), each side at least 64.
        grid: (h, w), see `description_grid`.

    Example:
        >>> import torch
        >>> network = DescriptionAutoencoder(5, (64, 96), (8, 16)).eval()
        >>> network(torch.zeros(2, 3, 64, 96)).shape
        torch.Size([2, 5, 8, 16])

    Raises:
        InputError: a smaller side.
    """

    def __init__(self, channels: int, size: Size, grid: Size) -> None:
        super().__init__()
        if min(size) < LEAST_SIDE:
            raise InputError(
                f"got images of {size[0]}x{size[1]}; expected at least {LEAST_SIDE}x{LEAST_SIDE}: give a larger --size (--crop or --tile where given)"
            )
        self.channels = whole(channels, "channels")
        kernel = _last_kernel(size)
        encoder, decoder = _encoder(kernel), _decoder(self.channels)
        self.encoder = nn.Sequential(OrderedDict(encoder))
        self.decoder = nn.ModuleDict(OrderedDict(decoder))
        code = _code_grid(size, kernel)
        self.upsampling = nn.ModuleList(_upsampling(code, size, grid))
        self.dropout = nn.Dropout(_DROPOUT)
        self.activation = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        """Return the predicted descriptions."""
        x: Tensor = self.encoder(images)
        *hidden, last = self.decoder.values()
        steps = zip(hidden, self.upsampling, strict=True)
        for number, (convolution, upsample) in enumerate(steps, start=1):
            x = self.activation(convolution(upsample(x)))
            if number < len(hidden):
                x = self.dropout(x)
        described: Tensor = last(x)
        return described


def _encoder(kernel: Size) -> Iterator[Named]:
    """Yield five convolutions that halve height and width, each with a ReLU, and one over the rest."""
    for number, (given, channels) in enumerate(
        pairwise((3, *_ENCODED)), start=1
    ):
        halving = nn.Conv2d(given, channels, 4, stride=2, padding=1)
        yield f"conv{number}", halving
        yield f"relu{number}", nn.ReLU()
    yield "conv6", nn.Conv2d(_ENCODED[-1], _WIDTH, kernel)


def _decoder(channels: int) -> Iterator[Named]:
    """Yield eight convolutions; the first six enlarge the map by one row and column."""
    for number in range(1, 7):
        yield f"conv{number}", nn.Conv2d(_WIDTH, _WIDTH, 4, padding=2)
    yield "conv7", nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1)
    yield "conv8", nn.Conv2d(_WIDTH, channels, 3, padding=1)


def _upsampling(code: Size, size: Size, grid: Size) -> Iterator[nn.Module]:
    """Yield the upsampling before each of the first seven convolutions."""
    given = code
    for number, wanted in enumerate(_decoder_grids(size, grid), start=1):
        rows, columns = map(bilinear, given, wanted)
        yield LinearResample2d(rows, columns)
        grown = 1 if number < 7 else 0
        given = (wanted[0] + grown, wanted[1] + grown)


def _decoder_grids(size: Size, grid: Size) -> Sequence[Size]:
    """Return height and width after each upsampling: 3, 8, 15, 32, 63, 127 and 56 for 256 pixels.

    >>> _decoder_grids((256, 64), (56, 8))
    [(3, 1), (8, 2), (15, 3), (32, 8), (63, 15), (127, 31), (56, 8)]
    """
    steps = ((64, 1), (32, 0), (16, 1), (8, 0), (4, 1), (2, 1))
    grids = [
        (max(1, size[0] // step - less), max(1, size[1] // step - less))
        for step, less in steps
    ]
    return [*grids, grid]


def _last_kernel(size: Size) -> Size:
    """Return the sides of the encoder's last kernel: 8, or those of a smaller input."""
    rows, columns = (min(_KERNEL, side // 32) for side in size)
    return rows, columns


def _code_grid(size: Size, kernel: Size) -> Size:
    """Return height and width of the code."""
    rows, columns = (
        side // 32 - extent + 1
        for side, extent in zip(size, kernel, strict=True)
    )
    return rows, columns
