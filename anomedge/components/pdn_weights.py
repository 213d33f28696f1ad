"""Weights of a patch description network, read from a file by the order of its layers."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anomedge.components.backbone_weights import read_weights
from anomedge.components.patch_description import (
    MOST_CHANNELS,
    PatchDescriptionNetwork,
    PdnSize,
)
from anomedge.errors import ModelError

__all__ = ["pretrained_pdn"]

_OTHER: dict[PdnSize, PdnSize] = {"small": "medium", "medium": "small"}
_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}


def pretrained_pdn(
    path: Path, model_size: PdnSize, *, padding: bool
) -> PatchDescriptionNetwork:
    """Return a network with the weights of a file; their last layer gives its number of channels.

    The file is `.safetensors`, or a `.pth` that is read with
    `weights_only=True`. Layers are matched in the order of the numbers in their
    names, which are `conv1`, `conv2`, ... in anomalib's files, and those of a
    Sequential, `0`, `3`, ..., in others.

    Raises:
        ModelError: a missing or unreadable file, or weights of another network.
    """
    given = read_weights(path)
    _refuse_unusable(given, path)
    channels = _channels(given)
    for size in (model_size, _OTHER[model_size]):
        state = _renamed(given, _expected(channels, size))
        if state is None:
            continue
        if size != model_size:
            raise ModelError(
                f"{path} has the weights of the {size} network; expected those of the {model_size} one: "
                f"give --model-size {size}, or another file"
            )
        _refuse_infinite(state, path)
        network = PatchDescriptionNetwork(channels, size, padding=padding)
        network.load_state_dict(state)
        return network
    raise ModelError(
        f"{path} has {len(given)} tensors ({_shapes(given)}); expected those of a patch description network, "
        f"weights and biases of 4 convolutions (small) or 6 (medium), the last one of at most {MOST_CHANNELS} channels: "
        f"give the file of a teacher"
    )


def _refuse_unusable(given: Mapping[Any, Tensor], path: Path) -> None:
    """Refuse content that is no weights, before its shapes are read."""
    if not given:
        raise ModelError(
            f"{path} has no tensors; expected those of a patch description network: give the file of a teacher"
        )
    for name, tensor in given.items():
        fault = _fault(name, tensor)
        if fault is not None:
            raise ModelError(
                f"{path} has {fault}; expected names that are text, and plain tensors of float16, bfloat16, float32 or "
                f"float64: save the state_dict of the teacher again"
            )


def _fault(name: Any, tensor: Tensor) -> str | None:
    if not isinstance(name, str):
        return f"the name {name!r} of type {type(name).__name__}"
    if tensor.is_nested or tensor.layout != torch.strided:
        return f"{name}, which is sparse or nested"
    if tensor.is_meta:
        return f"{name} without values (on the device meta)"
    if tensor.dtype not in _FLOATS:
        return f"{name} of {str(tensor.dtype).removeprefix('torch.')}"
    return None


def _expected(channels: int, size: PdnSize) -> dict[str, Tensor]:
    """Return the shapes of a network's tensors, without memory for their values."""
    with torch.device("meta"):
        return PatchDescriptionNetwork(channels, size).state_dict()


def _channels(given: Mapping[str, Tensor]) -> int:
    """Return the length of the last layer's bias; 1 for other files, which fit no network."""
    shape = given[max(given, key=_place)].shape
    is_bias = len(shape) == 1 and 0 < shape[0] <= MOST_CHANNELS
    return shape[0] if is_bias else 1


def _shapes(given: Mapping[str, Tensor]) -> str:
    """Return names and shapes of the first layers and the last one, for a message."""
    names = sorted(given, key=_place)
    shown = [f"{name} {tuple(given[name].shape)}" for name in names]
    return ", ".join(
        shown if len(names) < 4 else [*shown[:2], "...", shown[-1]]
    )


def _renamed(
    given: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> dict[str, Tensor] | None:
    """Return the tensors by the network's names; None if their shapes are others."""
    pairs = list(
        zip(
            sorted(expected, key=_place),
            sorted(given, key=_place),
            strict=False,
        )
    )
    fits = len(given) == len(expected) and all(
        expected[own].shape == given[other].shape for own, other in pairs
    )
    return {own: given[other].float() for own, other in pairs} if fits else None


def _place(name: str) -> tuple[list[int], bool, str]:
    """Return the place of a tensor: by the numbers in its name, weights before biases.

    >>> sorted(["10.bias", "2.bias", "10.weight"], key=_place)
    ['2.bias', '10.weight', '10.bias']
    """
    numbers = [int(digits) for digits in re.findall(r"\d{1,9}", name)]
    return numbers, name.endswith("bias"), name


def _refuse_infinite(state: Mapping[str, Tensor], path: Path) -> None:
    for name, tensor in state.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ModelError(
                f"{path} has values in {name} that are not finite; expected numbers: give another file"
            )
