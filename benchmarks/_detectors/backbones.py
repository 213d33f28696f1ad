"""One file of weights for the backbones of both sides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import timm
import torch
from _detectors.cases import PACKAGED
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from anomedge.components.backbone_weights import matching_state_dict


def write_weights(backbone: str, images: Tensor, path: Path) -> None:
    """Write ImageNet's weights where a package has them, else random ones.

    Args:
        backbone: architecture in timm.
        images: normalised images (B, 3, H, W), for the statistics of random weights.
        path: safetensors file to write.
    """
    network = timm.create_model(backbone, pretrained=False)
    if backbone == PACKAGED:
        state = matching_state_dict("efficientnet-lite0", backbone, network)
    else:
        calibrate(network, images)
        state = network.state_dict()
    save_file({name: x.contiguous() for name, x in state.items()}, path)


def calibrate(network: nn.Module, images: Tensor) -> None:
    """Give every BatchNorm random factors, none of them zero, and the statistics of the images."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.uniform_(module.bias, -0.2, 0.2)
            module.reset_running_stats()
            module.momentum = None  # the plain average over all batches
            module.train()
    with torch.no_grad():
        for batch in images.split(8):
            network(batch)
    network.eval()


@contextmanager
def pretrained_by(path: Path) -> Iterator[None]:
    """Let timm take pretrained weights from a file within the block: anomalib would download them."""
    create = timm.create_model

    def created(name: str, pretrained: bool = False, **given: Any) -> nn.Module:
        network = create(name, pretrained=False, **given)
        if pretrained:
            state = load_file(path)
            kept = {key: state[key] for key in network.state_dict()}
            network.load_state_dict(kept, strict=True)
        return network

    with mock.patch.object(timm, "create_model", created):
        yield
