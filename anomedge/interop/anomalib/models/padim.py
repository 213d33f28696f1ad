"""PaDiM as anomalib computes it; `anomedge import` without --with-anomalib has its own."""

from typing import Annotated, Any

from pydantic import Field

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Backbone,
    Layers,
    Size,
    TorchModel,
)

__all__ = ["Padim"]


class PadimArguments(Arguments):
    """Arguments of PaDiM."""

    backbone: Backbone = "resnet18"
    layers: Layers = ("layer1", "layer2", "layer3")
    n_features: Annotated[int, Field(ge=1, le=65536)] | None = None


class Padim(TorchModel):
    """PaDiM."""

    name = "Padim"
    module = "anomalib.models.image.padim.torch_model"
    class_name = "PadimModel"
    arguments_class = PadimArguments
    keys = ("idx", "gaussian.mean", "gaussian.inv_covariance")
    sized = ("gaussian.*",)

    @classmethod
    def keywords(cls, arguments: PadimArguments, size: Size) -> dict[str, Any]:
        """Return the arguments; layers are a list."""
        del size
        return arguments.model_dump() | {
            "layers": list(arguments.layers),
            "pre_trained": False,
        }
