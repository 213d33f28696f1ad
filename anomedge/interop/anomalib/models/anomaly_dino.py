"""AnomalyDINO."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from torch import Tensor, nn
from torch.nn import functional as F

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Backbone,
    Size,
    TorchModel,
    with_method,
    without_weights,
)

__all__ = ["AnomalyDino", "mean_of_highest", "nearest"]

_HIGHEST = 0.01
"""Share of the patches, those with the largest distances, whose mean is the score."""


class AnomalyDinoArguments(Arguments):
    """Arguments of AnomalyDINO; masks of the background are computed outside of torch and cannot be exported."""

    num_neighbours: Annotated[int, Field(ge=1, le=1024)] = 1
    encoder_name: Backbone = "vit_small_patch14_dinov2"
    masking: bool = False

    @field_validator("masking")
    @classmethod
    def _only_unmasked(cls, masking: bool) -> bool:
        if masking:
            raise PydanticCustomError(
                "masking",
                "Input should be False: masks are computed by scikit-learn and OpenCV, which no graph can do",
            )
        return masking


class AnomalyDino(TorchModel):
    """AnomalyDINO."""

    name = "AnomalyDINO"
    module = "anomalib.models.image.anomaly_dino.torch_model"
    class_name = "AnomalyDINOModel"
    arguments_class = AnomalyDinoArguments
    keys = ("memory_bank", "feature_encoder.*")
    sized = ("memory_bank",)
    size = (252, 252)
    difference = (
        "pictures are resized bilinearly; anomalib's default of this model is bicubic, "
        "so its scores of pictures of another size differ"
    )

    @classmethod
    def build(cls, arguments: AnomalyDinoArguments, size: Size) -> nn.Module:
        """Return the model without masks of the background.

        anomalib selects the patches by a mask even where it keeps all of them.
        """
        return with_method(super().build(arguments, size), "forward", _forward)

    @classmethod
    def replacements(cls, package: Any) -> dict[str, Any]:
        """Return the encoder without pretrained weights."""
        return {
            "TimmFeatureExtractor": without_weights(
                package.TimmFeatureExtractor
            )
        }


class Margins(NamedTuple):
    """Pixels beyond whole patches, on each side of an image."""

    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def of(cls, height: int, width: int, patch: int) -> Margins:
        """Return the margins, the larger ones at the bottom and on the right."""
        high, wide = height % patch, width % patch
        top, left = high // 2, wide // 2
        return cls(top, high - top, left, wide - left)


def nearest(features: Tensor, bank: Tensor, neighbours: int) -> Tensor:
    """Return the mean cosine distance of each patch to its neighbours in the bank.

    Args:
        features: of the patches, (B, N, D).
        bank: normalised features, (M, D).
        neighbours: number of neighbours.

    Returns:
        Distances (B, N) in [0, 2].
    """
    similarity = F.normalize(features, dim=-1) @ bank.T
    distance = (1 - similarity).clamp(0, 2)
    if neighbours == 1:
        return distance.amin(dim=-1)
    return distance.topk(neighbours, dim=-1, largest=False).values.mean(dim=-1)


def mean_of_highest(distances: Tensor) -> Tensor:
    """Return the mean of the highest hundredth of the distances (B, N) of each image, at least of one, (B,)."""
    count = max(1, int(distances.shape[1] * _HIGHEST))
    return distances.topk(count, dim=1).values.mean(dim=1)


def _forward(model: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return scores (B,) and maps (B, 1, H, W); a margin that fits no whole patch has the values beside it."""
    height, width = images.shape[2:]
    margins = Margins.of(height, width, model.patch_size)
    bottom, right = height - margins.bottom, width - margins.right
    inner = images[:, :, margins.top : bottom, margins.left : right]
    size = tuple(inner.shape[2:])
    features = model.extract_features(inner)
    distances = nearest(features, model.memory_bank, model.num_neighbours)
    grid = [side // model.patch_size for side in size]
    patches = distances.reshape(-1, 1, *grid)
    anomaly_map = model.anomaly_map_generator(patches, size)
    around = (margins.left, margins.right, margins.top, margins.bottom)
    if any(around):
        anomaly_map = F.pad(anomaly_map, around, mode="replicate")
    return mean_of_highest(distances), anomaly_map
