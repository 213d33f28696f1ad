"""Timm architectures by name: feature layers, input scaling and weights."""

import importlib
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch
from torch import Tensor, nn

from anomedge.components.backbone_weights import (
    PACKAGED_WEIGHTS,
    matching_state_dict,
)
from anomedge.components.module_backbones import first_line, silenced
from anomedge.components.used_weights import used_keys
from anomedge.errors import ModelError
from anomedge.extras import install_advice

__all__ = [
    "IMAGENET_SCALING",
    "create_backbone",
    "depth_layers",
    "feature_info",
    "final_norm_options",
    "has_one_stride",
    "input_scaling",
    "layers_at_strides",
    "refuse_ambiguous",
    "resized_positions",
]

Scaling = tuple[tuple[float, ...], tuple[float, ...]]

_CONNECT_SECONDS = 5.0
IMAGENET_SCALING = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet."""


def feature_info(backbone: str) -> list[dict[str, Any]]:
    """List a backbone's feature layers, finest first.

    Each entry has timm's keys `module` (name), `num_chs` (channels) and
    `reduction` (stride in pixels).

    Raises:
        ModelError: timm is missing, the architecture is unknown, or it has no
            feature maps.
    """
    timm = _timm()
    if ":" in backbone or "/" in backbone or not timm.is_model(backbone):
        similar = timm.list_models(f"*{backbone[:8]}*")[:5]
        close = ", ".join(similar) or "resnet18, wide_resnet50_2"
        raise ModelError(
            f"got backbone {backbone!r}; expected the name of a timm "
            f"architecture, such as {close}"
        )
    try:
        with torch.device("meta"):
            model = timm.create_model(
                backbone, pretrained=False, features_only=True
            )
            return list(model.feature_info.info)
    except (RuntimeError, ValueError, AttributeError, TypeError) as error:
        raise ModelError(
            f"{backbone} offers no feature maps ({error}); "
            "expected a convolutional backbone"
        ) from error


def layers_at_strides(backbone: str, strides: Sequence[int]) -> list[str]:
    """Return the names of a backbone's layers at the given strides, in pixels.

    >>> layers_at_strides("tf_efficientnet_lite0", [8, 16])
    ['blocks.2', 'blocks.4']

    Raises:
        ModelError: the backbone has no layer of a stride; see `depth_layers`
            for backbones of a single stride.
    """
    information = feature_info(backbone)
    by_stride = {
        int(info["reduction"]): str(info["module"]) for info in information
    }
    if missing := [stride for stride in strides if stride not in by_stride]:
        raise ModelError(
            f"{backbone} has no layer of stride "
            f"{', '.join(map(str, missing))}; it has "
            f"{_layers_by_stride(information)}: name some with --layers"
        )
    layers = [by_stride[stride] for stride in strides]
    refuse_ambiguous(backbone, layers, information)
    return layers


def depth_layers(backbone: str, count: int) -> list[str] | None:
    """Choose layers spread over the depth of a backbone of a single stride.

    Such a backbone is a ViT, for example. Return None for other backbones.

    >>> depth_layers("vit_tiny_patch16_224", 2), depth_layers("resnet18", 2)
    (['blocks.3', 'blocks.7'], None)
    """
    information = feature_info(backbone)
    names = [str(info["module"]) for info in information]
    strides = {int(info["reduction"]) for info in information}
    if len(strides) > 1 or len(set(names)) < len(names) or len(names) < count:
        return None
    return [
        names[round(len(names) * (i + 1) / (count + 1)) - 1]
        for i in range(count)
    ]


def has_one_stride(backbone: str) -> bool:
    """Return whether all layers have one stride, as those of a vision transformer.

    >>> has_one_stride("vit_tiny_patch16_224"), has_one_stride("resnet18")
    (True, False)
    """
    strides = {int(info["reduction"]) for info in feature_info(backbone)}
    return len(strides) == 1


def refuse_ambiguous(
    backbone: str,
    layers: Sequence[str],
    information: Sequence[Mapping[str, Any]],
) -> None:
    """Check that each layer's name belongs to one feature map.

    Some names of timm, such as `parallel_blocks` of coat_tiny, belong to
    several feature maps.

    Raises:
        ModelError: a name of several feature maps.
    """
    names = [str(info["module"]) for info in information]
    requested = dict.fromkeys(layers)
    ambiguous = [layer for layer in requested if names.count(layer) > 1]
    if ambiguous:
        only = [name for name in names if names.count(name) == 1]
        raise ModelError(
            f"{', '.join(ambiguous)} of {backbone} names several feature maps; "
            "expected layers with a name of their own, which "
            f"{', '.join(only) or 'none'} {'have' if len(only) > 1 else 'has'}: "
            "give others with --layers, or another --backbone"
        )


def final_norm_options(backbone: str) -> dict[str, Any]:
    """Return options for `timm.create_model` that apply a transformer's final norm to its feature maps.

    Raises:
        ModelError: a backbone of several strides, which has no such norm.
    """
    strides = {int(info["reduction"]) for info in feature_info(backbone)}
    if len(strides) > 1:
        listed = ", ".join(map(str, sorted(strides)))
        raise ModelError(
            f"{backbone} has layers of strides {listed}; expected one stride "
            "in all layers, as a vision transformer has: give another "
            "--backbone, such as vit_small_patch14_dinov2"
        )
    getter = importlib.import_module("timm.models._features").FeatureGetterNet

    class NormalisedGetter(getter):  # type: ignore[misc,valid-type]
        """Features behind the final norm; timm takes only a class here."""

        def __init__(self, model: nn.Module, **options: Any) -> None:
            super().__init__(model, norm=True, **options)

    return {"feature_cls": NormalisedGetter}


def resized_positions(positions: Tensor, extractor: nn.Module) -> Tensor:
    """Return a position embedding (1, N, d) for the grid of an extractor's transformer.

    Bicubic and without antialiasing, as DINOv2's own code does; `create_backbone`
    has timm's antialiased one.
    """
    network: Any = extractor.get_submodule("feature_extractor.model")
    prefix = 0 if network.no_embed_class else network.num_prefix_tokens
    layers = importlib.import_module("timm.layers")
    resized: Tensor = layers.resample_abs_pos_embed(
        positions,
        new_size=list(network.patch_embed.grid_size),
        num_prefix_tokens=prefix,
        antialias=False,
    )
    return resized


def input_scaling(name: str, weights: str | Path | None) -> Scaling:
    """Return the mean and standard deviation of the network's inputs."""
    if str(weights) in PACKAGED_WEIGHTS:
        entry = PACKAGED_WEIGHTS[str(weights)]
        return entry["mean"], entry["std"]
    config = _timm().get_pretrained_cfg(name)
    if config is None:
        return IMAGENET_SCALING
    return tuple(config.mean), tuple(config.std)


def create_backbone(
    name: str,
    options: dict[str, Any],
    pre_trained: bool,
    weights: str | Path | None,
) -> nn.Module:
    """Create a timm model.

    Args:
        name: the architecture.
        options: of `timm.create_model`.
        pre_trained: load weights; otherwise they are random.
        weights: as of `FeatureExtractor`; None to download them.

    Raises:
        ModelError: weights that cannot be read or downloaded.
    """
    if pre_trained and weights is not None:
        state = _state_dict(name, options, weights)
        overlay = {"state_dict": state, "source": ""}
        options = options | {"pretrained_cfg_overlay": overlay}
    if pre_trained and weights is None and not _weights_available(name):
        raise _no_weights(name, "neither cached here nor reachable")
    try:
        # Timm warns about unused weights of the layers that were cut off.
        with silenced("timm.models._builder"):
            model: nn.Module = _timm().create_model(
                name, pretrained=pre_trained, **options
            )
    except (OSError, RuntimeError) as error:
        raise _no_weights(name, first_line(error)) from error
    return model


def _state_dict(
    name: str, options: dict[str, Any], weights: str | Path
) -> dict[str, Tensor]:
    """Return the tensors of the whole model; of a file, only those that the layers use must be there."""
    meta = torch.device("meta")
    with meta:
        whole = _timm().create_model(name, pretrained=False)
    if str(weights) in PACKAGED_WEIGHTS:
        return matching_state_dict(weights, name, whole)
    with meta:
        features = _timm().create_model(name, pretrained=False, **options)
    used = used_keys(features, whole.state_dict())
    return matching_state_dict(weights, name, whole, used)


def _timm() -> Any:
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise ModelError(
            "backbones by name need timm; expected it installed: "
            f"{install_advice('export')}"
        ) from error


def _layers_by_stride(information: Sequence[Mapping[str, Any]]) -> str:
    """Format all layers with their strides, for a message.

    >>> a, b = {"module": "a", "reduction": 4}, {"module": "b", "reduction": 8}
    >>> _layers_by_stride([a, b, {"module": "c", "reduction": 8}])
    'a (4), b, c (8)'
    """
    names: dict[int, list[str]] = {}
    for info in information:
        names.setdefault(int(info["reduction"]), []).append(str(info["module"]))
    return ", ".join(
        f"{', '.join(layers)} ({stride})" for stride, layers in names.items()
    )


def _no_weights(name: str, reason: str) -> ModelError:
    strides = {int(info["reduction"]) for info in feature_info(name)}
    # A detector on a transformer takes no convolutional network.
    other = (
        ", or --backbone tf_efficientnet_lite0 --weights efficientnet-lite0"
        if len(strides) > 1
        else ""
    )
    return ModelError(
        f"cannot get the ImageNet weights of {name} ({reason}); expected the "
        f"network or a file: give --weights FILE.safetensors{other}"
    )


def _weights_available(name: str) -> bool:
    """Return whether the weights are cached or their host accepts connections.

    Without this check an offline download is retried for a minute.
    """
    import huggingface_hub

    config = _timm().get_pretrained_cfg(name)
    if config is None or not config.hf_hub_id or getproxies():
        return True  # unknown: let timm try
    for file in ("model.safetensors", "pytorch_model.bin"):
        cached = huggingface_hub.try_to_load_from_cache(config.hf_hub_id, file)
        if isinstance(cached, str):
            return True
    host = urlsplit(huggingface_hub.constants.ENDPOINT)
    port = host.port or (80 if host.scheme == "http" else 443)
    address = str(host.hostname), port
    try:
        socket.create_connection(address, timeout=_CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
