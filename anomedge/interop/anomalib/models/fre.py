"""FRE: feature reconstruction error."""

from typing import Annotated, Any

from pydantic import Field

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Backbone,
    Layer,
    Size,
    TorchModel,
)

__all__ = ["Fre"]


class FreArguments(Arguments):
    """Arguments of FRE."""

    backbone: Backbone = "resnet50"
    layer: Layer = "layer3"
    pooling_kernel_size: Annotated[int, Field(ge=1, le=256)] = 2
    input_dim: Annotated[int, Field(ge=1, le=1 << 21)] = 65536
    latent_dim: Annotated[int, Field(ge=1, le=16384)] = 220


class Fre(TorchModel):
    """FRE."""

    name = "Fre"
    module = "anomalib.models.image.fre.torch_model"
    class_name = "FREModel"
    arguments_class = FreArguments
    keys = ("fre_model.weight", "feature_extractor.*")

    @classmethod
    def keywords(cls, arguments: FreArguments, size: Size) -> dict[str, Any]:
        """Return the arguments."""
        del size
        return arguments.model_dump() | {"pre_trained": False}
