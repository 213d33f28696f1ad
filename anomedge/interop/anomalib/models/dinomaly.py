"""Dinomaly."""

from typing import Annotated, Any

from pydantic import Field

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Backbone,
    Size,
    TorchModel,
    without_weights,
)

__all__ = ["Blocks", "Dinomaly", "Groups"]

Block = Annotated[int, Field(ge=0, le=127)]
Blocks = Annotated[tuple[Block, ...], Field(min_length=1, max_length=64)]
Groups = Annotated[tuple[Blocks, ...], Field(min_length=1, max_length=16)]


class DinomalyArguments(Arguments):
    """Arguments of Dinomaly."""

    encoder_name: Backbone = "vit_base_patch14_reg4_dinov2"
    decoder_depth: Annotated[int, Field(ge=2, le=64)] = 8
    target_layers: Blocks | None = None
    remove_class_token: bool = False
    use_context_recentering: bool = False


class Dinomaly(TorchModel):
    """Dinomaly; anomalib 2.7 takes no other groups of layers than its own."""

    name = "Dinomaly"
    module = "anomalib.models.image.dinomaly.torch_model"
    class_name = "DinomalyModel"
    arguments_class = DinomalyArguments
    keys = ("encoder.*", "bottleneck.0.*", "decoder.0.*")
    absent = ("prototype_token.*",)
    size = (448, 448)
    crop = (392, 392)

    @classmethod
    def keywords(
        cls, arguments: DinomalyArguments, size: Size
    ) -> dict[str, Any]:
        """Return the arguments; layers are a list."""
        del size
        layers = arguments.target_layers
        return arguments.model_dump() | {
            "target_layers": None if layers is None else list(layers)
        }

    @classmethod
    def replacements(cls, package: Any) -> dict[str, Any]:
        """Return the encoder without pretrained weights."""
        return {
            "TimmFeatureExtractor": without_weights(
                package.TimmFeatureExtractor
            )
        }
