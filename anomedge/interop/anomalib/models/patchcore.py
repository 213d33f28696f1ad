"""PatchCore as anomalib computes it; `anomedge import` without --with-anomalib has its own."""

from typing import Annotated, Any

from pydantic import Field

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Backbone,
    Layers,
    Size,
    TorchModel,
)

__all__ = ["Patchcore"]


class PatchcoreArguments(Arguments):
    """Arguments of PatchCore."""

    backbone: Backbone = "wide_resnet50_2"
    layers: Layers = ("layer2", "layer3")
    num_neighbors: Annotated[int, Field(ge=1, le=1024)] = 9


class Patchcore(TorchModel):
    """PatchCore; its graph has one fixed batch, because anomalib searches in chunks."""

    name = "Patchcore"
    module = "anomalib.models.image.patchcore.torch_model"
    class_name = "PatchcoreModel"
    arguments_class = PatchcoreArguments
    keys = ("memory_bank", "feature_extractor.*")
    absent = ("descriptor.*",)
    sized = ("memory_bank",)

    @classmethod
    def keywords(
        cls, arguments: PatchcoreArguments, size: Size
    ) -> dict[str, Any]:
        """Return the arguments."""
        del size
        return arguments.model_dump() | {"pre_trained": False}
