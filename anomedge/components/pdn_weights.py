"""Weights of a patch description network, read from a file by the order of its layers."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from anomedge.components.backbone_weights import read_weights
from anomedge.components.patch_description import (
    PatchDescriptionNetwork,
    PdnSize,
)
from anomedge.errors import ModelError

__all__ = ["pretrained_pdn"]

_OTHER: dict[PdnSize, PdnSize] = {"small": "medium", "medium": "small"}


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
    for size in (model_size, _OTHER[model_size]):
        network = PatchDescriptionNetwork(
            _channels(given), size, padding=padding
        )
        state = _renamed(given, network.state_dict())
        if state is None:
            continue
        if size != model_size:
            raise ModelError(
                f"{path} has the weights of the {size} network; expected those of the {model_size} one: "
                f"give --model-size {size}, or another file"
            )
        _refuse_infinite(state, path)
        network.load_state_dict(state)
        return network
    shapes = ", ".join(
        f"{k} {tuple(v.shape)}" for k, v in list(given.items())[:3]
    )
    raise ModelError(
        f"{path} has {len(given)} tensors ({shapes}, ...); expected those of a patch description network: "
        f"weights and biases of 4 convolutions (small) or 6 (medium)"
    )


def _channels(given: Mapping[str, Tensor]) -> int:
    """Return the length of the last layer's bias; 1 for other files, which fit no network."""
    names = sorted(given, key=_place)
    shape = given[names[-1]].shape if names else ()
    return shape[0] if len(shape) == 1 and shape[0] else 1


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
