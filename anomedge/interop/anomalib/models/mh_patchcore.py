"""MH-PatchCore: PatchCore on whitened components."""

from typing import Annotated, Any

from pydantic import Field

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Backbone,
    Layers,
    Size,
    TorchModel,
)

__all__ = ["MhPatchcore"]


class MhPatchcoreArguments(Arguments):
    """Arguments of MH-PatchCore; the other ones act in the fit only."""

    backbone: Backbone = "wide_resnet50_2.tv2_in1k"
    layers: Layers = ("layer2", "layer3")
    num_neighbors: Annotated[int, Field(ge=1, le=1024)] = 9


class MhPatchcore(TorchModel):
    """MH-PatchCore."""

    name = "MHPatchcore"
    module = "anomalib.models.image.mh_patchcore.torch_model"
    class_name = "MHPatchcoreModel"
    arguments_class = MhPatchcoreArguments
    keys = ("memory_bank.bank", "covariance.mean", "pca.components")
    sized = ("memory_bank.*", "covariance.*", "pca.*")
    crop = (224, 224)

    @classmethod
    def keywords(
        cls, arguments: MhPatchcoreArguments, size: Size
    ) -> dict[str, Any]:
        """Return the arguments."""
        del size
        return arguments.model_dump() | {"pre_trained": False}
