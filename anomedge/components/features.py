"""Feature maps of a convolutional backbone at named layers.

A backbone is the name of a timm architecture, cut at its deepest requested
layer (layers have the names that timm reports, such as `layer2` or
`blocks.2`), or an `nn.Module` with layers named by their path in it. Maps are
(B, C, h, w) for every internal layout.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from anomedge.components.backbone_weights import PACKAGED_WEIGHTS
from anomedge.components.image_sizes import size_options
from anomedge.components.map_layouts import MapLayout
from anomedge.components.module_backbones import (
    cut_module,
    first_line,
    unwrapped,
)
from anomedge.components.timm_backbones import (
    create_backbone,
    depth_layers,
    feature_info,
    final_norm_options,
    has_one_stride,
    input_scaling,
    layers_at_strides,
    refuse_ambiguous,
)
from anomedge.errors import ModelError

__all__ = [
    "PACKAGED_WEIGHTS",
    "FeatureExtractor",
    "depth_layers",
    "layers_at_strides",
]

Size = tuple[int, int]


class FeatureExtractor(nn.Module):
    """Map images to a dict of layer name to feature map.

    Args:
        backbone: name of a timm architecture, or a module; wrappers such as
            DataParallel are removed.
        layers: names of the layers, in output order; a string names one layer.
        pre_trained: with a name, load its ImageNet weights: from `weights`,
            else over the network.
        weights: "efficientnet-lite0" (from its package), or a `.safetensors`
            or weights-only `.pth` file of the whole architecture; a prefix
            that all keys share, such as `model.`, is removed. No pickle is
            executed.
        size: (H, W) of the images. An architecture with a fixed input size is
            built for this size, with interpolated weights; a module is probed
            at this size.
        trainable: whether `train()` reaches the network, and its parameters
            have gradients; otherwise it is frozen.
        final_norm: with the name of a transformer, apply its final norm to
            the maps, as DINOv2's patch features have it; None: if all
            layers of the backbone have one stride, as in a transformer.

    Attributes:
        channels: C_l of each layer; `out_dims` is an alias.
        idx: index of each layer in timm's feature list; empty for a module.
        strides: of each layer, in pixels of the input per step.
        mean, std: input scaling of the network, (x - mean) / std for x in
            [0, 1]; `forward` expects scaled images.

    Raises:
        ModelError: an unknown backbone or layer; a size that the backbone does
            not accept; a layer with an ambiguous output layout; weights that
            are missing, unreadable, for another architecture, or cannot be
            downloaded.

    Example:
        >>> extractor = FeatureExtractor("resnet18", ["layer1", "layer2"], pre_trained=False)
        >>> extractor.channels, extractor.strides
        ([64, 128], [4, 8])
        >>> maps = extractor(torch.zeros(1, 3, 64, 96))
        >>> {name: tuple(x.shape) for name, x in maps.items()}
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
        trainable: bool = False,
        final_norm: bool | None = False,
    ) -> None:
        super().__init__()
        self.trainable = trainable
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
            if final_norm is None:
                final_norm = has_one_stride(backbone)
            own = final_norm_options(backbone) if final_norm else {}
            self._create(backbone, pre_trained, weights, size, own)
        self.requires_grad_(trainable).eval()

    @property
    def out_dims(self) -> list[int]:
        """Channels of each layer."""
        return self.channels

    def train(self, mode: bool = True) -> "FeatureExtractor":
        """Set the mode; a frozen backbone stays in evaluation mode."""
        super().train(mode)
        if not self.trainable:
            self.feature_extractor.eval()
        return self

    def forward(self, input: Tensor) -> dict[str, Tensor]:
        """Compute the feature maps of scaled images (B, 3, H, W).

        Returns:
            {layer: (B, C_l, H / stride, W / stride)}, in the order of `layers`.

        Raises:
            ModelError: the backbone has a fixed input size and the images have
                another.
        """
        height, width = input.shape[2:]
        try:
            features = self.feature_extractor(input)
        except AssertionError as error:  # timm asserts the input size
            if torch.compiler.is_compiling():
                raise
            raise ModelError(
                f"{self.backbone} does not take images of {height}x{width} "
                f"({first_line(error)}); expected the size that it was made "
                f"for: give size=({height}, {width})"
            ) from error
        if self._layouts:
            return {
                name: layout.to_map(features[name], (height, width))
                for name, layout in self._layouts.items()
            }
        maps = [features[position] for position in self._order]
        if self._channels_last:
            maps = [x.permute(0, 3, 1, 2) for x in maps]
        return dict(zip(self.layers, maps, strict=True))

    def _map_layer_to_idx(self, offset: int = 3) -> list[int]:
        """Return the index of each layer in timm's feature list, finest first.

        Older anomalib counts the children of the network and subtracts
        `offset`, the number of children before the first feature layer. That
        is correct for residual networks (3) only. Here the default is correct
        for every architecture, and another offset shifts the indices by
        3 - offset, as it does there.

        Raises:
            ModelError: the extractor was made from a module, which has no
                numbered layers.
        """
        if not self._known:
            raise ModelError(
                f"got an extractor of a module, {self.backbone}; "
                "expected a timm architecture by name"
            )
        return [self._known.index(layer) + 3 - offset for layer in self.layers]

    def _create(
        self,
        name: str,
        pre_trained: bool,
        weights: str | Path | None,
        size: Size | None,
        own: dict[str, Any],
    ) -> None:
        self.backbone = name
        information = feature_info(name)
        self._known = known = [str(info["module"]) for info in information]
        if unknown := [layer for layer in self.layers if layer not in known]:
            raise ModelError(
                f"got layers {unknown} of {name}; "
                f"expected some of: {', '.join(known)}"
            )
        refuse_ambiguous(name, self.layers, information)
        self.idx = self._map_layer_to_idx()
        indices = sorted(self.idx)
        self._order = [indices.index(number) for number in self.idx]
        chosen = [information[number] for number in self.idx]
        self.channels = [int(info["num_chs"]) for info in chosen]
        self.strides = [int(info["reduction"]) for info in chosen]
        self.mean, self.std = input_scaling(name, weights)
        options = {
            "features_only": True,
            "out_indices": indices,
            "exportable": True,
            **own,
        }
        if size is not None:
            options |= size_options(name, options, size)
        self.feature_extractor = create_backbone(
            name, options, pre_trained, weights
        )
        # Swin and others give (B, h, w, C). Shapes are ambiguous if C = w.
        output_format = getattr(self.feature_extractor, "output_fmt", "NCHW")
        self._channels_last = output_format == "NHWC"

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
