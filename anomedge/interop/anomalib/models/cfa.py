"""CFA: coupled-hypersphere feature adaptation."""

from typing import Annotated, Any, Literal

from pydantic import Field

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Size,
    TorchModel,
)

__all__ = ["Cfa"]


class CfaArguments(Arguments):
    """Arguments of CFA."""

    backbone: Literal["resnet18", "wide_resnet50_2", "vgg19_bn"] = (
        "wide_resnet50_2"
    )
    gamma_c: Annotated[int, Field(ge=1, le=4096)] = 1
    gamma_d: Annotated[int, Field(ge=1, le=4096)] = 1
    num_nearest_neighbors: Annotated[int, Field(ge=1, le=1024)] = 3
    num_hard_negative_features: Annotated[int, Field(ge=0, le=1024)] = 3
    radius: Annotated[float, Field(gt=0, le=1e6)] = 1e-5


class Cfa(TorchModel):
    """CFA; anomalib's own constructor downloads the backbone's weights."""

    name = "Cfa"
    module = "anomalib.models.image.cfa.torch_model"
    class_name = "CfaModel"
    arguments_class = CfaArguments
    keys = ("memory_bank", "descriptor.layer.*")
    sized = ("memory_bank",)

    @classmethod
    def keywords(cls, arguments: CfaArguments, size: Size) -> dict[str, Any]:
        """Return the arguments."""
        del size
        return arguments.model_dump()

    @classmethod
    def replacements(cls, package: Any) -> dict[str, Any]:
        """Return a feature extractor that is cut from an untrained backbone."""

        def extractor(backbone: str, return_nodes: list[str]) -> Any:
            network = getattr(package.torchvision.models, backbone)(
                weights=None
            )
            cut = package.create_feature_extractor(
                model=network, return_nodes=return_nodes
            )
            return cut.eval()

        return {"get_feature_extractor": extractor}
