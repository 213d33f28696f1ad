"""AnomalyDINO of anomalib 2.7: a bank of unit patches, and the weights of timm's transformer.

anomalib resizes the position embedding to the grid of each picture, bicubically and without antialiasing. All images
have one size here, so it is resized once, in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from anomedge.components import FeatureExtractor
from anomedge.components.timm_backbones import (
    feature_info,
    resized_positions,
)
from anomedge.errors import ModelError
from anomedge.interop.anomalib.backbone import (
    architecture_of,
    scale_as_stated,
)
from anomedge.interop.anomalib.base import ImportedDetector, tensors_fit
from anomedge.interop.anomalib.blur import SIGMA, refuse_other_blur
from anomedge.interop.anomalib.foreign import (
    ForeignModel,
    Taken,
    TensorSource,
)
from anomedge.interop.anomalib.plain import shown
from anomedge.interop.anomalib.tensors import (
    loaded,
    refuse_misshapen,
    said_precision,
    tensor_of,
)
from anomedge.pipelines.anomaly_dino import AnomalyDino, AnomalyDinoConfig

__all__ = ["ImportedAnomalyDino"]

Size = tuple[int, int]

_BANK = "memory_bank"
_ENCODER = "feature_encoder.feature_extractor."
_OWN = "feature_extractor.model."
_POSITIONS = f"{_OWN}pos_embed"
_PARTS = (_BANK, "feature_encoder.", "anomaly_map_generator.")
_UNIT = 1e-2
"""Largest difference of a length from 1; float16 keeps three digits."""


class ImportedAnomalyDino(ImportedDetector):
    """AnomalyDINO, nearest normal patches of DINOv2, as `anomedge.pipelines.anomaly_dino.AnomalyDino`."""

    name = "anomaly_dino"

    @classmethod
    def matches(cls, foreign: ForeignModel) -> bool:
        """Return whether the file has a bank, an encoder and nothing of another model."""
        return tensors_fit(foreign, _PARTS[:2], _PARTS)

    @classmethod
    def build(
        cls, foreign: ForeignModel, size: Size, taken: Taken
    ) -> AnomalyDino:
        """Return the fitted AnomalyDINO; see `ImportedDetector.build`."""
        _refuse_arguments(foreign.arguments)
        bank = tensor_of(foreign, _BANK, 2, "bank of normal patches")
        refuse_other_blur(foreign)
        extractor = _extractor(foreign, size, taken)
        if bank.shape[1] != extractor.channels[0]:
            raise ModelError(
                f"got a bank of vectors with {bank.shape[1]} features; expected {extractor.channels[0]}, "
                f"the width of {extractor.backbone}"
            )
        vectors = loaded(bank, _BANK)
        _refuse_other_lengths(vectors)
        config = AnomalyDinoConfig.of(
            extractor,
            size,
            sigma=SIGMA,
            n_vectors=len(vectors),
            upsampling="nearest",
        )
        pipeline = AnomalyDino(config, extractor).eval()
        pipeline.bank.fill(vectors)
        said_precision("bank", [bank.dtype], taken)
        text = f"{bank.shape[0]:,} vectors of {bank.shape[1]} features"
        taken.add("bank", text, "file")
        return pipeline


def _refuse_arguments(arguments: Mapping[str, Any]) -> None:
    """Refuse masks of the background, which no graph can compute, and means over several neighbours."""
    masking = arguments.get("masking", False)
    if masking is not False:
        raise ModelError(
            f"got masking {shown(masking)} in the hyper-parameters; expected False: anomalib computes masks of the background "
            f"by scikit-learn and OpenCV, which no graph can do: fit with masking=False"
        )
    neighbours = arguments.get("num_neighbours", 1)
    if isinstance(neighbours, bool) or neighbours != 1:
        raise ModelError(
            f"got num_neighbours {shown(neighbours)} in the hyper-parameters; expected 1: import it with --with-anomalib"
        )


def _extractor(
    foreign: ForeignModel, size: Size, taken: Taken
) -> FeatureExtractor:
    """Return the encoder with the file's weights and scaling, for images (H, W).

    Raises:
        ModelError: an unknown architecture, or tensors that are not its own.
    """
    name = architecture_of(foreign.arguments.get("encoder_name"))
    layer = str(feature_info(name)[-1]["module"])
    found = _tensors(foreign)
    with torch.device("meta"):
        # Positions are those of the architecture's own grid.
        stored = FeatureExtractor(name, layer, False, final_norm=True)
    refuse_misshapen(found, stored.state_dict(), (), name)
    extractor = FeatureExtractor(name, layer, False, size=size, final_norm=True)
    state = {key: loaded(tensor, key) for key, tensor in found.items()}
    state[_POSITIONS] = resized_positions(state[_POSITIONS], extractor)
    extractor.load_state_dict(state)
    scale_as_stated(extractor, foreign)
    taken.add("backbone", f"{name}, {len(found)} tensors", "file")
    taken.add("layers", layer, "computed")
    said_precision(
        "backbone's weights", [each.dtype for each in found.values()], taken
    )
    return extractor


def _tensors(foreign: ForeignModel) -> dict[str, TensorSource]:
    """Return the encoder's tensors by the names that they have in a FeatureExtractor."""
    return {
        _OWN + name.removeprefix(_ENCODER): tensor
        for name, tensor in foreign.tensors.items()
        if name.startswith(_PARTS[1])
    }


def _refuse_other_lengths(vectors: Tensor) -> None:
    """Refuse vectors that do not have unit length."""
    lengths = vectors.norm(dim=1)
    if bool((lengths - 1).abs().max() > _UNIT):
        raise ModelError(
            f"got a bank of vectors of lengths {float(lengths.min()):g} to {float(lengths.max()):g}; expected 1, as "
            f"anomalib stores them: fit the model again"
        )
