"""FastFlow."""

from typing import Annotated, Any

from pydantic import Field

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Backbone,
    Size,
    TorchModel,
)

__all__ = ["Fastflow"]


class FastflowArguments(Arguments):
    """Arguments of FastFlow."""

    backbone: Backbone = "resnet18"
    flow_steps: Annotated[int, Field(ge=1, le=64)] = 8
    conv3x3_only: bool = False
    hidden_ratio: Annotated[float, Field(gt=0, le=8)] = 1.0


class Fastflow(TorchModel):
    """FastFlow; built for one size of images."""

    name = "Fastflow"
    module = "anomalib.models.image.fastflow.torch_model"
    class_name = "FastflowModel"
    arguments_class = FastflowArguments
    makes_constants = True
    keys = ("feature_extractor.*", "fast_flow_blocks.*")

    @classmethod
    def keywords(
        cls, arguments: FastflowArguments, size: Size
    ) -> dict[str, Any]:
        """Return the arguments and the size."""
        return arguments.model_dump() | {
            "input_size": size,
            "pre_trained": False,
        }
