"""RAD: retrieval-based anomaly detection."""

from typing import Annotated, Any

from pydantic import Field

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Backbone,
    Size,
    TorchModel,
)
from anomedge.interop.anomalib.models.dinomaly import Blocks

__all__ = ["Rad"]

Weight = Annotated[float, Field(ge=0, le=1e6)]


class RadArguments(Arguments):
    """Arguments of RAD."""

    backbone: Backbone = "vit_base_patch16_dinov3"
    layers: Blocks | None = None
    k_image: Annotated[int, Field(ge=1, le=1 << 20)] = 150
    use_positional_bank: bool = True
    pos_radius: Annotated[int, Field(ge=0, le=16)] = 1
    max_ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    layer_weights: (
        Annotated[tuple[Weight, ...], Field(max_length=64)] | None
    ) = None


class Rad(TorchModel):
    """RAD; its graph has one fixed batch."""

    name = "Rad"
    module = "anomalib.models.image.rad.torch_model"
    class_name = "RadModel"
    arguments_class = RadArguments
    keys = ("cls_banks", "patch_banks")
    sized = ("cls_banks", "patch_banks")
    size = (512, 512)
    crop = (448, 448)

    @classmethod
    def keywords(cls, arguments: RadArguments, size: Size) -> dict[str, Any]:
        """Return the arguments; layers and weights are lists."""
        del size
        values = arguments.model_dump() | {"pre_trained": False}
        for name in ("layers", "layer_weights"):
            if values[name] is not None:
                values[name] = list(values[name])
        return values
