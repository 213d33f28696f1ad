"""One file of weights for the backbones of both sides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import timm
from _detectors.cases import PACKAGED
from _shared.batch_norms import calibrate
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
        calibrate(network, images.split(8))
        state = network.state_dict()
    save_file({name: x.contiguous() for name, x in state.items()}, path)


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
