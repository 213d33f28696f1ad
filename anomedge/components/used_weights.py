"""Weights of a timm model that its feature maps depend on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["used_keys"]

_SIDE = 224


def used_keys(
    features: nn.Module, expected: Mapping[str, Tensor]
) -> set[str] | None:
    """Return the keys of the whole model that the feature maps depend on.

    The maps are computed and differentiated on the meta device, without values.

    Args:
        features: the model with `features_only`, on the meta device.
        expected: state_dict of the whole model. Its keys lack the prefix of the
            feature model's keys and have dots in place of some underscores.

    Returns:
        The keys; None if they cannot be determined.
    """
    try:
        used = _differentiated(features.eval())
    except Exception:  # noqa: BLE001 - an operator without a meta kernel
        return None
    by_name = {_plain(key): key for key in expected}
    plain = {_plain(key) for key in used}
    if len(by_name) < len(expected) or not plain <= by_name.keys():
        return None
    return {by_name[key] for key in plain}


def _differentiated(features: nn.Module) -> set[str]:
    """Return the keys of parameters with a gradient, and of their modules' buffers."""
    images = torch.empty(1, 3, *_input_size(features), device="meta")
    maps: Iterable[Tensor] = features(images)
    total = torch.stack([each.sum() for each in maps]).sum()
    torch.autograd.backward(total)
    used: set[str] = set()
    for name, module in features.named_modules():
        parameters = list(module.named_parameters(recurse=False))
        alive = [n for n, value in parameters if value.grad is not None]
        buffers = [n for n, _ in module.named_buffers(recurse=False)]
        own = [*alive, *buffers] if alive or not parameters else []
        used |= {f"{name}.{leaf}".lstrip(".") for leaf in own}
    return used & features.state_dict().keys()


def _input_size(features: Any) -> tuple[int, int]:
    """Return the size that the model was made for, else a common one."""
    embedding = getattr(getattr(features, "model", None), "patch_embed", None)
    size = getattr(embedding, "img_size", None)
    if size is None:
        config = getattr(features, "pretrained_cfg", None) or {}
        size = config.get("input_size", (3, _SIDE, _SIDE))[1:]
    return int(size[0]), int(size[1])


def _plain(key: str) -> str:
    """Return a key without timm's prefix and underscores.

    >>> _plain("model.blocks_0.conv.weight") == _plain("blocks.0.conv.weight")
    True
    """
    return key.removeprefix("model.").replace("_", ".")
