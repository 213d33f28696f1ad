"""GANomaly."""

from typing import Annotated, Any

from pydantic import Field

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Size,
    TorchModel,
)

__all__ = ["Ganomaly"]


class GanomalyArguments(Arguments):
    """Arguments of GANomaly; the other ones act in training only."""

    n_features: Annotated[int, Field(ge=1, le=1024)] = 64
    latent_vec_size: Annotated[int, Field(ge=1, le=65536)] = 100
    extra_layers: Annotated[int, Field(ge=0, le=64)] = 0
    add_final_conv_layer: bool = True


class Ganomaly(TorchModel):
    """GANomaly: a score, no anomaly map; built for one size of images."""

    name = "Ganomaly"
    module = "anomalib.models.image.ganomaly.torch_model"
    class_name = "GanomalyModel"
    arguments_class = GanomalyArguments
    keys = ("generator.encoder1.*", "discriminator.*")

    @classmethod
    def keywords(
        cls, arguments: GanomalyArguments, size: Size
    ) -> dict[str, Any]:
        """Return the arguments and the size."""
        return arguments.model_dump() | {
            "input_size": size,
            "num_input_channels": 3,
        }
