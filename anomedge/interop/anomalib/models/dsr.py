"""DSR: dual subspace re-projection."""

from typing import Annotated

from pydantic import Field

from anomedge.interop.anomalib.defaults import UNSCALED
from anomedge.interop.anomalib.models.base import (
    Arguments,
    TorchModel,
)

__all__ = ["Dsr"]


class DsrArguments(Arguments):
    """Arguments of DSR."""

    latent_anomaly_strength: Annotated[float, Field(ge=0, le=1)] = 0.2


class Dsr(TorchModel):
    """DSR."""

    name = "Dsr"
    module = "anomalib.models.image.dsr.torch_model"
    class_name = "DsrModel"
    arguments_class = DsrArguments
    keys = ("discrete_latent_model.*", "anomaly_detection_module.*")
    scaling = UNSCALED
