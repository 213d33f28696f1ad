r"""Gaussian blur of images, channel by channel.

.. math:: y_{ij} = \sum_{u,v} k_u\, l_v\, x_{i+u,\,j+v}, \qquad k_u \propto \exp\!\left(-\frac{u^2}{2\sigma_h^2}\right)

Pipelines do not call it in the graph: there the blur is a matrix, composed with the upsampling before it
(`anomedge.resample.gaussian_blur`). This class is the definition that the matrix is held to.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomedge.errors import InputError
from anomedge.resample import gaussian_kernel

__all__ = ["GaussianBlur2d"]

_BORDERS = {"reflect": "reflect", "replicate": "replicate", "circular": "circular", "constant": "constant"}


class GaussianBlur2d(nn.Module):
    """Blur each channel with a Gaussian of kernel_size (odd, in pixels) and sigma (in pixels).

    Args:
        kernel_size: one whole number or (height, width), of pixels; odd.
        sigma: one standard deviation or (vertical, horizontal), in pixels; positive.
        channels: C, of the images to come.
        normalize: make the kernel sum to 1; otherwise its peak is 1.
        border_type: "reflect", "replicate", "circular" or "constant" (zeros).
        padding: "same" keeps the size, "valid" keeps only what the whole kernel covers.

    Raises:
        InputError: a size that is even, not whole or not positive, neither a number nor a pair, an unknown border or
            padding.

    Example:
        >>> blur = GaussianBlur2d(kernel_size=3, sigma=1.0, channels=1)
        >>> blur(torch.eye(3).reshape(1, 1, 3, 3)).squeeze()
        tensor([[0.5046, 0.3715, 0.3005],
                [0.3715, 0.3544, 0.3715],
                [0.3005, 0.3715, 0.5046]])
    """

    kernel: Tensor

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        sigma: float | Sequence[float],
        channels: int,
        normalize: bool = True,
        border_type: str = "reflect",
        padding: str = "same",
    ) -> None:
        super().__init__()
        sizes = _pair(kernel_size, "kernel_size")
        sigmas = _pair(sigma, "sigma")
        if any(size != int(size) for size in sizes):
            raise InputError(f"got kernel_size={kernel_size}; expected whole numbers of pixels")
        if border_type not in _BORDERS or padding not in {"same", "valid"}:
            raise InputError(
                f"got border_type={border_type!r}, padding={padding!r}; "
                f"expected one of {sorted(_BORDERS)} and 'same' or 'valid'"
            )
        if channels < 1:
            raise InputError(f"got channels={channels}; expected at least 1")
        self.channels, self.border_type, self.padding = channels, border_type, padding
        self.height, self.width = (int(size) for size in sizes)
        column, row = (torch.from_numpy(gaussian_kernel(int(n), float(s))) for n, s in zip(sizes, sigmas, strict=True))
        if not normalize:
            column, row = column / column.max(), row / row.max()
        kernel = torch.outer(column, row).to(torch.get_default_dtype())
        self._least = self._least_size()
        self.register_buffer("kernel", kernel.expand(channels, 1, -1, -1).contiguous())

    def forward(self, input_tensor: Tensor) -> Tensor:
        """Shape (B, C, H, W) to the same, or to (B, C, H - kh + 1, W - kw + 1) when padding is "valid".

        Raises:
            InputError: other than (B, C, H, W), or an image that the kernel does not fit: reflection needs more than
                half a kernel, "circular" half of one, "valid" all of it.
        """
        if input_tensor.ndim != 4 or input_tensor.shape[1] != self.channels:
            raise InputError(f"got images {tuple(input_tensor.shape)}; expected (B, {self.channels}, H, W)")
        if min(input_tensor.shape[2] - self._least[0], input_tensor.shape[3] - self._least[1]) < 0:
            raise InputError(
                f"got images {tuple(input_tensor.shape)} with a kernel of {self.height}x{self.width}; expected at least "
                f"{self._least[0]}x{self._least[1]} pixels: blur less"
            )
        if self.padding == "same":
            half_height, half_width = self.height // 2, self.width // 2
            edges = (half_width, half_width, half_height, half_height)
            input_tensor = F.pad(input_tensor, edges, mode=_BORDERS[self.border_type])
        return F.conv2d(input_tensor, self.kernel, groups=self.channels)

    def _least_size(self) -> tuple[int, int]:
        """Height and width of the smallest image that border and padding can be had for."""
        if self.padding == "valid":
            return self.height, self.width
        extra = {
            "reflect": (self.height // 2 + 1, self.width // 2 + 1),
            "circular": (self.height // 2, self.width // 2),
        }
        return extra.get(self.border_type, (1, 1))

    def extra_repr(self) -> str:
        """Kernel and border."""
        return f"kernel={self.height}x{self.width}, channels={self.channels}, border={self.border_type!r}"


def _pair(value: float | Sequence[float], name: str) -> tuple[float, float]:
    pair = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(pair) != 2:
        raise InputError(f"got {name}={value}; expected one number or a pair, (vertical, horizontal)")
    return pair
