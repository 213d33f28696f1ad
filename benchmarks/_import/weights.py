"""Weights of anomalib's backbones without a download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm
from _import.cases import PACKAGED
from _shared.batch_norms import calibrate
from torch import Tensor

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
    calibrate(network, images)
