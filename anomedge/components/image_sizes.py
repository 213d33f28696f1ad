"""Image sizes of timm architectures with a fixed input size: options to build them for another size.

An architecture that accepts the size without an option gets none, so that
models saved by earlier releases keep their tensors. Otherwise it is built with
timm's `img_size`. Networks are built and run on the meta device, without
arithmetic.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from anomedge.components.module_backbones import first_line
from anomedge.errors import ModelError

__all__ = ["size_options"]

Size = tuple[int, int]

_STEPS = (8, 14, 16, 24, 28, 32, 56, 64, 112, 128)


def size_options(
    name: str, options: Mapping[str, Any], size: Size
) -> dict[str, Any]:
    """Return options for `timm.create_model`, besides `options`, that build `name` for images of `size` (H, W).

    >>> layers = {"features_only": True, "out_indices": [3]}
    >>> size_options("vit_tiny_patch16_224", layers, (96, 128)), size_options("resnet18", layers, (96, 128))
    ({'img_size': (96, 128)}, {})

    Raises:
        ModelError: the architecture cannot be built for that size; the message
            lists the nearest supported sizes.
    """
    config = importlib.import_module("timm").get_pretrained_cfg(name)
    if (
        config is None
        or not config.fixed_input_size
        or tuple(config.input_size[1:]) == tuple(size)
    ):
        return {}
    if _refusal(name, options, size) is None:
        return {}
    asked = {"img_size": tuple(size)}
    reason = _refusal(name, {**options, **asked}, size)
    if reason is None:
        return asked
    raise ModelError(
        f"{name} does not take images of {_shown(size)} ({reason}); expected {_sizes_that_work(name, options, size)}: "
        f"give another --size (--crop or --tile where given) or --backbone"
    )


def _refusal(name: str, options: Mapping[str, Any], size: Size) -> str | None:
    """Return the reason why the architecture, built with the options, fails at this size; None if it works."""
    try:
        with torch.device("meta"), torch.no_grad():
            model = (
                importlib.import_module("timm")
                .create_model(name, pretrained=False, **options)
                .eval()
            )
            maps = model(torch.empty(1, 3, *size))
    except Exception as error:  # noqa: BLE001 - timm's architectures raise any type
        return first_line(error)
    if "img_size" not in options:
        return None  # earlier releases accepted such sizes without a check of the border
    rows, columns = (
        (1, 2) if getattr(model, "output_fmt", "NCHW") == "NHWC" else (2, 3)
    )
    for output, stride in zip(
        maps, model.feature_info.reduction(), strict=True
    ):
        if (
            output.shape[rows] * stride < size[0]
            or output.shape[columns] * stride < size[1]
        ):
            return f"steps of {stride} pixels leave a border out"
    return None


def _sizes_that_work(name: str, options: Mapping[str, Any], size: Size) -> str:
    """Format the nearest supported sizes, or the pretrained size if no other is found."""
    for step in _STEPS:
        working = [
            near
            for near in _multiples(size, step)
            if _works(name, options, near)
        ]
        if working:
            return " or ".join(_shown(near) for near in working)
    own = importlib.import_module("timm").get_pretrained_cfg(name).input_size
    return f"its own size, {own[1]}x{own[2]}"


def _works(name: str, options: Mapping[str, Any], size: Size) -> bool:
    if _refusal(name, options, size) is None:
        return True
    return _refusal(name, {**options, "img_size": size}, size) is None


def _multiples(size: Size, step: int) -> Iterator[Size]:
    """Yield the nearest smaller and larger sizes with sides that are multiples of a step.

    >>> list(_multiples((72, 100), 16))
    [(64, 96), (80, 112)]
    """
    height, width = (side // step * step for side in size)
    if height and width:
        yield height, width
    above = (-(-size[0] // step) * step, -(-size[1] // step) * step)
    if above != (height, width):
        yield above


def _shown(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
