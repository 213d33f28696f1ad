"""DFM: deep feature modelling."""

from typing import Annotated, Any, Literal

from pydantic import Field

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Backbone,
    Layer,
    Size,
    TorchModel,
)

__all__ = ["Dfm"]


class DfmArguments(Arguments):
    """Arguments of DFM."""

    backbone: Backbone = "resnet50"
    layer: Layer = "layer3"
    pooling_kernel_size: Annotated[int, Field(ge=1, le=256)] = 4
    pca_level: Annotated[float, Field(gt=0, le=65536)] = 0.97
    score_type: Literal["fre", "nll"] = "fre"


class Dfm(TorchModel):
    """DFM; with the score "nll" it has no anomaly map."""

    name = "Dfm"
    module = "anomalib.models.image.dfm.torch_model"
    class_name = "DFMModel"
    arguments_class = DfmArguments
    keys = ("pca_model.mean", "gaussian_model.mean_vec")
    sized = ("pca_model.*", "gaussian_model.*")

    @classmethod
    def keywords(cls, arguments: DfmArguments, size: Size) -> dict[str, Any]:
        """Return the arguments; the torch class calls the level of the PCA its components."""
        del size
        values = arguments.model_dump() | {"pre_trained": False}
        return values | {"n_comps": values.pop("pca_level")}
