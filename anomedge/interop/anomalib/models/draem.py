"""DRAEM."""

from typing import Any

from anomedge.interop.anomalib.defaults import UNSCALED
from anomedge.interop.anomalib.models.base import (
    Arguments,
    Size,
    TorchModel,
)

__all__ = ["Draem"]


class DraemArguments(Arguments):
    """Arguments of DRAEM."""

    enable_sspcab: bool = False


class Draem(TorchModel):
    """DRAEM."""

    name = "Draem"
    module = "anomalib.models.image.draem.torch_model"
    class_name = "DraemModel"
    arguments_class = DraemArguments
    keys = ("reconstructive_subnetwork.*", "discriminative_subnetwork.*")
    scaling = UNSCALED

    @classmethod
    def keywords(cls, arguments: DraemArguments, size: Size) -> dict[str, Any]:
        """Return the arguments."""
        del size
        return {"sspcab": arguments.enable_sspcab}
