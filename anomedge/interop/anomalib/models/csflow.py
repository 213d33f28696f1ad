"""CS-Flow."""

from typing import Annotated, Any

from pydantic import Field

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Size,
    TorchModel,
    constructed,
)

__all__ = ["Csflow"]


class CsflowArguments(Arguments):
    """Arguments of CS-Flow."""

    cross_conv_hidden_channels: Annotated[int, Field(ge=1, le=8192)] = 1024
    n_coupling_blocks: Annotated[int, Field(ge=1, le=64)] = 4
    clamp: Annotated[float, Field(gt=0, le=100)] = 3
    num_channels: Annotated[int, Field(ge=3, le=3)] = 3


class Csflow(TorchModel):
    """CS-Flow; anomalib's own constructor downloads the backbone's weights.

    Its permutations are no tensors of the file; they follow from their numbers.
    """

    name = "Csflow"
    module = "anomalib.models.image.csflow.torch_model"
    class_name = "CsFlowModel"
    arguments_class = CsflowArguments
    makes_constants = True
    keys = ("feature_extractor.*", "graph.*")

    @classmethod
    def keywords(cls, arguments: CsflowArguments, size: Size) -> dict[str, Any]:
        """Return the arguments and the size."""
        return arguments.model_dump() | {"input_size": size}

    @classmethod
    def replacements(cls, package: Any) -> dict[str, Any]:
        """Return an extractor with an untrained backbone."""

        def backbone(weights: Any) -> Any:
            del weights
            return package.efficientnet_b5(weights=None)

        def extractor(**keywords: Any) -> Any:
            kind = package.CsFlowMultiScaleFeatureExtractor
            return constructed(kind, keywords, {"efficientnet_b5": backbone})

        return {"CsFlowMultiScaleFeatureExtractor": extractor}
