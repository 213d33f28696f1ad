r"""Residual blocks that halve, keep or double the sides of a feature map.

A block computes

.. math:: y = \max\big(f(x) + s(x),\, 0\big)

with the shortcut :math:`s(x) = x` where the shapes are equal, else a projection
(He et al. 2016, "Deep residual learning for image recognition",
arXiv:1512.03385). Sides are halved by a convolution of stride 2, and doubled by
a transposed convolution of 2x2 pixels and stride 2, in f and in s. Each
convolution is followed by batch normalisation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "BasicBlock",
    "BlockKind",
    "BottleneckBlock",
    "Step",
    "convolution",
    "he_initialised",
    "residual_layer",
]

Step = Literal["halve", "keep", "double"]


@dataclass(frozen=True)
class BlockKind:
    """Kind of the blocks of a network.

    Attributes:
        expansion: 1 for basic blocks; for bottleneck blocks the ratio of the
            output's channels to 64ths of the width.
        width: channels within a bottleneck block, per group and per 64
            channels of output / expansion.
        groups: groups of the middle convolution of a bottleneck block.
        rectified: whether the last block of a layer ends with max(y, 0);
            without, its output may be negative.
    """

    expansion: int = 1
    width: int = 64
    groups: int = 1
    rectified: bool = True


class BasicBlock(nn.Module):
    """f is two 3x3 convolutions with a rectifier between them; the first one changes the sides.

    Args:
        c_in: channels of x.
        c_out: channels of y.
        step: change of the sides.
        rectified: whether y is max(f + s, 0), not f + s.

    Example:
        >>> import torch
        >>> BasicBlock(4, 6, "double")(torch.zeros(1, 4, 3, 5)).shape
        torch.Size([1, 6, 6, 10])
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        step: Step = "keep",
        rectified: bool = True,
    ) -> None:
        super().__init__()
        self.rectified = rectified
        self.conv1 = convolution(c_in, c_out, step)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = convolution(c_out, c_out)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.shortcut = _shortcut(c_in, c_out, step)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, c_in, H, W) to (B, c_out, h, w)."""
        hidden = F.relu(self.bn1(self.conv1(x)))
        total: Tensor = self.bn2(self.conv2(hidden)) + self.shortcut(x)
        return F.relu(total) if self.rectified else total


class BottleneckBlock(nn.Module):
    """f is a 1x1, a 3x3 and a 1x1 convolution with rectifiers between them; the middle one changes the sides.

    Args:
        c_in: channels of x.
        c_out: channels of y.
        step: change of the sides.
        hidden: channels of the middle convolution.
        groups: groups of the middle convolution, and of a shortcut that
            doubles the sides.
        rectified: whether y is max(f + s, 0), not f + s.

    Example:
        >>> import torch
        >>> BottleneckBlock(8, 4, "halve", hidden=2)(torch.zeros(1, 8, 6, 4)).shape
        torch.Size([1, 4, 3, 2])
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        step: Step = "keep",
        *,
        hidden: int,
        groups: int = 1,
        rectified: bool = True,
    ) -> None:
        super().__init__()
        self.rectified = rectified
        self.conv1 = nn.Conv2d(c_in, hidden, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv2 = convolution(hidden, hidden, step, groups)
        self.bn2 = nn.BatchNorm2d(hidden)
        self.conv3 = nn.Conv2d(hidden, c_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(c_out)
        self.shortcut = _shortcut(c_in, c_out, step, groups)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, c_in, H, W) to (B, c_out, h, w)."""
        hidden = F.relu(self.bn1(self.conv1(x)))
        hidden = F.relu(self.bn2(self.conv2(hidden)))
        total: Tensor = self.bn3(self.conv3(hidden)) + self.shortcut(x)
        return F.relu(total) if self.rectified else total


def residual_layer(
    kind: BlockKind, c_in: int, c_out: int, step: Step, count: int
) -> nn.Sequential:
    """Return blocks in a row, of which the first one changes channels and sides.

    Args:
        kind: kind of the blocks.
        c_in: channels of the input.
        c_out: channels of the output.
        step: change of the sides.
        count: number of blocks.
    """
    blocks: list[nn.Module] = []
    for place in range(count):
        is_last = place == count - 1
        rectified = kind.rectified or not is_last
        if place == 0:
            blocks.append(_block(kind, c_in, c_out, step, rectified))
        else:
            blocks.append(_block(kind, c_out, c_out, "keep", rectified))
    return nn.Sequential(*blocks)


def convolution(
    c_in: int, c_out: int, step: Step = "keep", groups: int = 1
) -> nn.Module:
    """Return a 3x3 convolution that halves or keeps the sides, or a transposed 2x2 one that doubles them."""
    if step == "double":
        return nn.ConvTranspose2d(
            c_in, c_out, 2, stride=2, groups=groups, bias=False
        )
    stride = 2 if step == "halve" else 1
    return nn.Conv2d(
        c_in, c_out, 3, stride=stride, padding=1, groups=groups, bias=False
    )


def he_initialised(network: nn.Module) -> None:
    """Draw the weights of convolutions from normal distributions (He et al. 2015, arXiv:1502.01852).

    Their variance is 2 over the number of products with each input value.
    Transposed convolutions keep torch's distribution.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(
                module.weight, mode="fan_out", nonlinearity="relu"
            )


def _block(
    kind: BlockKind, c_in: int, c_out: int, step: Step, rectified: bool
) -> nn.Module:
    if kind.expansion == 1:
        return BasicBlock(c_in, c_out, step, rectified)
    narrow = c_out // kind.expansion
    return BottleneckBlock(
        c_in,
        c_out,
        step,
        hidden=narrow * kind.width // 64 * kind.groups,
        groups=kind.groups,
        rectified=rectified,
    )


def _shortcut(c_in: int, c_out: int, step: Step, groups: int = 1) -> nn.Module:
    if step == "keep" and c_in == c_out:
        return nn.Identity()
    if step == "double":
        projection = convolution(c_in, c_out, step, groups)
    else:
        stride = 2 if step == "halve" else 1
        projection = nn.Conv2d(c_in, c_out, 1, stride=stride, bias=False)
    return nn.Sequential(projection, nn.BatchNorm2d(c_out))
