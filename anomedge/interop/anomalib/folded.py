"""Backbones of exported graphs: convolutions into which the exporter folded BatchNorm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from anomedge.components import FeatureExtractor
from anomedge.components.timm_backbones import feature_info
from anomedge.errors import ModelError
from anomedge.interop.anomalib.foreign import TensorSource
from anomedge.interop.anomalib.tensors import loaded

__all__ = ["inferred_network", "unfolded"]

_PREFIX = "feature_extractor."
_BACKBONES = (
    "resnet18",
    "resnet34",
    "resnet50",
    "wide_resnet50_2",
    "resnet101",
    "wide_resnet101_2",
    "tf_efficientnet_lite0",
)
"""Architectures that are tried for a graph, which does not name its own."""


def inferred_network(
    tensors: Mapping[str, TensorSource], features: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    """Return an architecture that has these convolutions, and its layers.

    Args:
        tensors: weights and biases of the convolutions.
        features: path of the last convolution of each layer.

    Raises:
        ModelError: none of the known architectures.
    """
    for name in _BACKBONES:
        layers = _layers(name, features)
        if layers and _has_convolutions(name, layers, tensors):
            # Networks that share these convolutions are the same up to these layers.
            return name, layers
    raise ModelError(
        f"got a graph with the convolutions of an unknown backbone; expected one of {', '.join(_BACKBONES)}: "
        f"import the checkpoint"
    )


def unfolded(
    found: Mapping[str, TensorSource], extractor: FeatureExtractor
) -> dict[str, Tensor]:
    """Return a state_dict in which each BatchNorm adds the folded bias and does nothing else.

    Raises:
        ModelError: values that are not finite, or a bias of another shape.
    """
    state = extractor.state_dict()
    for convolution, norm, eps in _pairs(extractor):
        weight, bias = f"{convolution}.weight", f"{convolution}.bias"
        ones = torch.ones_like(state[f"{norm}.weight"])
        zeros = torch.zeros_like(ones)
        # Convolutions behind the last layer are not in the graph.
        state[weight] = (
            loaded(found[weight], weight)
            if weight in found
            else torch.zeros_like(state[weight])
        )
        folded = loaded(found[bias], bias) if bias in found else zeros
        if folded.shape != ones.shape:
            raise ModelError(
                f"got {bias} of shape {tuple(folded.shape)}; expected {tuple(ones.shape)}: import the checkpoint"
            )
        state[f"{norm}.weight"] = ones
        state[f"{norm}.bias"] = folded
        state[f"{norm}.running_mean"] = zeros
        state[f"{norm}.running_var"] = ones - eps
    return state


def _layers(name: str, features: Sequence[str]) -> tuple[str, ...] | None:
    """Return the layers that end with these convolutions; None if one of them is in no layer."""
    known = [str(info["module"]) for info in feature_info(name)]
    found = []
    for path in features:
        inner = path.removeprefix(_PREFIX * 2)
        within = [layer for layer in known if inner.startswith(f"{layer}.")]
        if len(within) != 1:
            return None
        found += within
    return tuple(found) if len(set(found)) == len(found) else None


def _has_convolutions(
    name: str, layers: tuple[str, ...], tensors: Mapping[str, TensorSource]
) -> bool:
    """Return whether the file's convolutions are those of an architecture up to some depth, each before a BatchNorm."""
    with torch.device("meta"):
        extractor = FeatureExtractor(name, layers, pre_trained=False)
    expected = {}
    for convolution, _, _ in _pairs(extractor):
        weight = extractor.get_parameter(f"{convolution}.weight")
        expected[f"{_PREFIX}{convolution}.weight"] = tuple(weight.shape)
    stated = {
        key: tuple(tensor.shape)
        for key, tensor in tensors.items()
        if key.endswith(".weight")
    }
    first = list(expected.items())[: len(stated)]
    return dict(first) == stated


def _pairs(extractor: nn.Module) -> Iterator[tuple[str, str, float]]:
    """Yield each convolution, the BatchNorm after it, and that one's eps."""
    convolution = ""
    for path, module in extractor.named_modules():
        if isinstance(module, nn.Conv2d):
            convolution = path
        elif isinstance(module, nn.BatchNorm2d) and convolution:
            yield convolution, path, _eps(module)
            convolution = ""


def _eps(norm: Any) -> float:
    return float(norm.eps)
