"""INP-Former."""

from typing import Annotated, Any

from pydantic import Field

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Backbone,
    Size,
    TorchModel,
    without_weights,
)
from anomedge.interop.anomalib.models.dinomaly import Blocks, Groups

__all__ = ["InpFormer"]


class InpFormerArguments(Arguments):
    """Arguments of INP-Former."""

    encoder_name: Backbone = "vit_base_patch14_reg4_dinov2"
    inp_num: Annotated[int, Field(ge=1, le=1024)] = 6
    target_layers: Blocks | None = None
    fuse_layer_encoder: Groups | None = None
    fuse_layer_decoder: Groups | None = None
    remove_class_token: bool = True


class InpFormer(TorchModel):
    """INP-Former."""

    name = "InpFormer"
    module = "anomalib.models.image.inp_former.torch_model"
    class_name = "InpFormerModel"
    arguments_class = InpFormerArguments
    keys = ("encoder.*", "prototype_token.0", "aggregation.*")
    size = (448, 448)
    crop = (392, 392)

    @classmethod
    def keywords(
        cls, arguments: InpFormerArguments, size: Size
    ) -> dict[str, Any]:
        """Return the arguments."""
        del size
        return arguments.model_dump()

    @classmethod
    def replacements(cls, package: Any) -> dict[str, Any]:
        """Return the encoder without pretrained weights."""
        return {
            "TimmFeatureExtractor": without_weights(
                package.TimmFeatureExtractor
            )
        }
