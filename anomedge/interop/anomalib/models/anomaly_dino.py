"""AnomalyDINO."""

from typing import Annotated, Any, Literal

from pydantic import Field

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Backbone,
    TorchModel,
    without_weights,
)

__all__ = ["AnomalyDino"]


class AnomalyDinoArguments(Arguments):
    """Arguments of AnomalyDINO; masks of the background are computed outside of torch and cannot be exported."""

    num_neighbours: Annotated[int, Field(ge=1, le=1024)] = 1
    encoder_name: Backbone = "vit_small_patch14_dinov2"
    masking: Literal[False] = False


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
    def replacements(cls, package: Any) -> dict[str, Any]:
        """Return the encoder without pretrained weights."""
        return {
            "TimmFeatureExtractor": without_weights(
                package.TimmFeatureExtractor
            )
        }
