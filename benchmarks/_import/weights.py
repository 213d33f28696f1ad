"""Weights of anomalib's backbones without a download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm
import torch
from _import.cases import PACKAGED
from torch import Tensor, nn

from anomedge.components.backbone_weights import matching_state_dict


def give_weights(
    extractor: Any, backbone: str, images: Sequence[Tensor]
) -> None:
    """Set the backbone's weights: ImageNet's where a package has them, else random ones with calibrated BatchNorms.

    Args:
        extractor: anomalib's feature extractor.
        backbone: its architecture.
        images: batches (B, 3, H, W), transformed, for the statistics of random weights.
    """
    network = extractor.feature_extractor
    if backbone == PACKAGED:
        whole = timm.create_model(backbone, pretrained=False)
        state = matching_state_dict("efficientnet-lite0", backbone, whole)
        kept = {key: state[key] for key in network.state_dict()}
        network.load_state_dict(kept, strict=True)
        return
    _calibrate(network, images)


def _calibrate(network: nn.Module, images: Sequence[Tensor]) -> None:
    """Give every BatchNorm random factors, none of them zero, and the statistics of the images."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.0)
            nn.init.uniform_(module.bias, -0.2, 0.2)
            module.reset_running_stats()
            module.momentum = None  # the plain average over all batches
            module.train()
    with torch.no_grad():
        for batch in images:
            network(batch)
    network.eval()
