r"""Gaussian blur of images, channel by channel.

.. math:: y_{ij} = \sum_{u,v} k_u\, l_v\, x_{i+u,\,j+v}, \qquad k_u \propto \exp\!\left(-\frac{u^2}{2\sigma_h^2}\right)

Graphs of pipelines use a matrix instead, composed with the preceding upsampling
(`anomedge.resample.gaussian_blur`). Tests compare that matrix with this class.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomedge.components.buffers import (
    as_dtype_of,
    floating,
    is_scripting,
    plain_state,
)
from anomedge.components.scalars import real, whole
from anomedge.errors import InputError
from anomedge.resample import gaussian_kernel

__all__ = ["GaussianBlur2d"]

_BORDERS = ("circular", "constant", "reflect", "replicate")
_SIGMAS_PER_SIDE = 4  # default extent of the kernel


@dataclass(frozen=True)
class _Blur:
    """Checked arguments; sizes and sigmas are (vertical, horizontal)."""

    sizes: tuple[int, int]
    sigmas: tuple[float, float]
    channels: int
    normalize: bool
    border_type: str
    padding: str

    def __str__(self) -> str:
        (height, width), (vertical, horizontal) = self.sizes, self.sigmas
        return f"a kernel of {height}x{width}, sigma {vertical:g}x{horizontal:g}, {self.channels} channels"


class GaussianBlur2d(nn.Module):
    """Blur each channel with a Gaussian of kernel_size (odd, in pixels) and sigma (in pixels).

    The first three arguments may also be given in the order of anomalib 2,
    (sigma, channels, kernel_size), with its defaults: 1 channel and a kernel
    that extends 4 sigmas to each side. A positional call that fits both orders
    with different results is refused: name the arguments.

    Args:
        kernel_size: whole number or (height, width), in pixels; odd. None: 4
            sigmas to each side.
        sigma: one standard deviation or (vertical, horizontal), in pixels;
            positive.
        channels: C, number of channels of the images; required if kernel_size
            is given first, else 1 by default.
        normalize: make the kernel sum to 1; otherwise its peak is 1.
        border_type: "reflect", "replicate", "circular" or "constant" (zeros).
        padding: "same" keeps the size; "valid" keeps pixels under the whole
            kernel.

    Floating-point images are blurred in their own dtype, integer images in the
    kernel's dtype.

    Raises:
        InputError: a size that is even, not whole or not positive, neither a
            number nor a pair, an unknown border or padding, or arguments that
            fit both orders or neither.

    Example:
        >>> blur = GaussianBlur2d(kernel_size=3, sigma=1.0, channels=1)
        >>> blur(torch.eye(3).reshape(1, 1, 3, 3)).squeeze()
        tensor([[0.5046, 0.3715, 0.3005],
                [0.3715, 0.3544, 0.3715],
                [0.3005, 0.3715, 0.5046]])
        >>> GaussianBlur2d(1.5, 3)
        GaussianBlur2d(kernel=13x13, channels=3, border='reflect')
    """

    kernel: Tensor

    @overload
    def __init__(
        self,
        kernel_size: int | Sequence[int],
        sigma: float | Sequence[float],
        channels: int,
        normalize: bool = True,
        border_type: str = "reflect",
        padding: str = "same",
    ) -> None: ...

    @overload
    def __init__(
        self,
        sigma: float | Sequence[float],
        channels: int = 1,
        kernel_size: int | Sequence[int] | None = None,
        normalize: bool = True,
        border_type: str = "reflect",
        padding: str = "same",
    ) -> None: ...

    @plain_state
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        blur = _resolve_order(args, kwargs)
        self.channels, self.border_type, self.padding = (
            blur.channels,
            blur.border_type,
            blur.padding,
        )
        self.height, self.width = blur.sizes
        column = torch.from_numpy(
            gaussian_kernel(blur.sizes[0], blur.sigmas[0])
        )
        row = torch.from_numpy(gaussian_kernel(blur.sizes[1], blur.sigmas[1]))
        if not blur.normalize:
            column, row = column / column.max(), row / row.max()
        kernel = torch.outer(column, row).to(torch.get_default_dtype())
        self._least = self._least_size()
        self.register_buffer(
            "kernel", kernel.expand(self.channels, 1, -1, -1).contiguous()
        )

    def forward(self, input_tensor: Tensor) -> Tensor:
        """Blur (B, C, H, W); "valid" returns (B, C, H - kh + 1, W - kw + 1).

        Raises:
            InputError: another shape, or an image below the minimum size: more
                than half a kernel for "reflect", half a kernel for "circular",
                a whole kernel for "valid".
        """
        if not is_scripting():
            self._check(input_tensor)
        input_tensor = floating(input_tensor, self.kernel)
        if self.padding == "same":
            half_height, half_width = self.height // 2, self.width // 2
            edges = (half_width, half_width, half_height, half_height)
            input_tensor = F.pad(input_tensor, edges, mode=self.border_type)
        return F.conv2d(
            input_tensor,
            as_dtype_of(self.kernel, input_tensor),
            groups=self.channels,
        )

    def _check(self, images: Tensor) -> None:
        if images.ndim != 4 or images.shape[1] != self.channels:
            raise InputError(
                f"got images {tuple(images.shape)}; expected (B, {self.channels}, H, W)"
            )
        if (
            min(
                images.shape[2] - self._least[0],
                images.shape[3] - self._least[1],
            )
            < 0
        ):
            raise InputError(
                f"got images {tuple(images.shape)} with a kernel of {self.height}x{self.width}; expected at least "
                f"{self._least[0]}x{self._least[1]} pixels: blur less"
            )

    def _least_size(self) -> tuple[int, int]:
        """Return the minimum (height, width) for the border and padding."""
        if self.padding == "valid":
            return self.height, self.width
        extra = {
            "reflect": (self.height // 2 + 1, self.width // 2 + 1),
            "circular": (self.height // 2, self.width // 2),
        }
        return extra.get(self.border_type, (1, 1))

    def extra_repr(self) -> str:
        """Format kernel and border."""
        return f"kernel={self.height}x{self.width}, channels={self.channels}, border={self.border_type!r}"


def _kernel_first(
    kernel_size: Any,
    sigma: Any,
    channels: Any,
    normalize: Any = True,
    border_type: str = "reflect",
    padding: str = "same",
) -> _Blur:
    if border_type not in _BORDERS or padding not in {"same", "valid"}:
        raise InputError(
            f"got border_type={border_type!r}, padding={padding!r}; "
            f"expected one of {list(_BORDERS)} and 'same' or 'valid'"
        )
    sizes, sigmas = _odd_sizes(kernel_size), _sigmas(sigma)
    return _Blur(
        sizes,
        sigmas,
        whole(channels, "channels"),
        bool(normalize),
        border_type,
        padding,
    )


def _sigma_first(
    sigma: Any,
    channels: Any = 1,
    kernel_size: Any = None,
    normalize: Any = True,
    border_type: str = "reflect",
    padding: str = "same",
) -> _Blur:
    if kernel_size is None:
        kernel_size = tuple(
            2 * int(_SIGMAS_PER_SIDE * one + 0.5) + 1 for one in _sigmas(sigma)
        )
    return _kernel_first(
        kernel_size, sigma, channels, normalize, border_type, padding
    )


_ORDERS: dict[str, Callable[..., _Blur]] = {
    "(kernel_size, sigma, channels)": _kernel_first,
    "(sigma, channels, kernel_size) of anomalib 2": _sigma_first,
}


def _resolve_order(args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Blur:
    """Resolve the order of the arguments and return the checked blur.

    Raises:
        InputError: no order fits, or both fit and give different blurs.
    """
    fitting = {
        name: order
        for name, order in _ORDERS.items()
        if _binds(order, args, kwargs)
    }
    if not fitting:
        given = [
            *map(repr, args),
            *(f"{name}={value!r}" for name, value in kwargs.items()),
        ]
        raise InputError(
            f"got GaussianBlur2d({', '.join(given)}); expected {' or '.join(_ORDERS)}"
        )
    blurs: dict[str, _Blur] = {}
    errors: list[InputError] = []
    for name, order in fitting.items():
        try:
            blurs[name] = order(*args, **kwargs)
        except InputError as error:
            errors.append(error)
    if not blurs:
        raise errors[0]
    if len(set(blurs.values())) > 1:
        meanings = "; or, as ".join(
            f"{name}, {blur}" for name, blur in blurs.items()
        )
        raise InputError(
            f"got GaussianBlur2d({', '.join(map(repr, args))}), which is, as {meanings}; expected one meaning: name "
            "the arguments"
        )
    return next(iter(blurs.values()))


def _binds(
    order: Callable[..., _Blur], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> bool:
    """Whether a function accepts these arguments."""
    try:
        inspect.signature(order).bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def _odd_sizes(kernel_size: Any) -> tuple[int, int]:
    height, width = (
        real(size, "kernel_size") for size in _pair(kernel_size, "kernel_size")
    )
    if height % 1 != 0 or width % 1 != 0:  # NaN and infinity as well
        raise InputError(
            f"got kernel_size={kernel_size}; expected whole numbers of pixels"
        )
    if min(height, width) < 1 or height % 2 == 0 or width % 2 == 0:
        raise InputError(
            f"got kernel_size={kernel_size}; expected odd numbers of pixels, at least 1"
        )
    return int(height), int(width)


def _sigmas(sigma: Any) -> tuple[float, float]:
    vertical, horizontal = (real(one, "sigma") for one in _pair(sigma, "sigma"))
    if not (0 < vertical < math.inf and 0 < horizontal < math.inf):
        raise InputError(
            f"got sigma={sigma}; expected positive standard deviations, in pixels"
        )
    return vertical, horizontal


def _pair(value: Any, name: str) -> tuple[Any, Any]:
    if isinstance(value, str):
        raise InputError(
            f"got {name}={value!r}; expected one number or a pair, (vertical, horizontal)"
        )
    pair = (
        tuple(value)
        if isinstance(value, Sequence)
        or (hasattr(value, "shape") and len(value.shape))
        else (value, value)
    )
    if len(pair) != 2:
        raise InputError(
            f"got {name}={value}; expected one number or a pair, (vertical, horizontal)"
        )
    return pair
