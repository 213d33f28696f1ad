"""PatchFlow."""

from typing import Annotated, Any

from pydantic import Field

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Backbone,
    Size,
    TorchModel,
)

__all__ = ["Patchflow"]

Width = Annotated[int, Field(ge=1, le=4096)]


class PatchflowArguments(Arguments):
    """Arguments of PatchFlow."""

    backbone: Backbone = "tf_efficientnet_b5"
    flow_steps: Annotated[int, Field(ge=1, le=64)] = 1
    flow_feature_dim: Width = 128
    num_scales: Annotated[int, Field(ge=1, le=16)] = 3
    patch_size: Annotated[int, Field(ge=1, le=64)] = 3
    flow_hidden_dim: Width = 128
    crop_size: tuple[Width, Width] | None = None


class Patchflow(TorchModel):
    """PatchFlow; built for one size of images."""

    name = "Patchflow"
    module = "anomalib.models.image.patchflow.torch_model"
    class_name = "PatchflowModel"
    arguments_class = PatchflowArguments
    makes_constants = True
    keys = ("feature_extractor.*", "feature_adaptor.*")
    size = (768, 768)

    @classmethod
    def keywords(
        cls, arguments: PatchflowArguments, size: Size
    ) -> dict[str, Any]:
        """Return the arguments and the size."""
        return arguments.model_dump() | {
            "input_size": size,
            "pre_trained": False,
        }
