"""U-Flow."""

from typing import Annotated, Any, Literal

from pydantic import Field
from torch import nn

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Size,
    TorchModel,
    constructed,
    imported,
)

__all__ = ["Uflow"]

_PACKAGE = "anomalib.models.image.uflow"
_LAYERS = ("layer1", "layer2", "layer3")


class UflowArguments(Arguments):
    """Arguments of U-Flow."""

    backbone: Literal["mcait", "resnet18", "wide_resnet50_2"] = "mcait"
    flow_steps: Annotated[int, Field(ge=1, le=64)] = 4
    affine_clamp: Annotated[float, Field(gt=0, le=100)] = 2.0
    affine_subnet_channels_ratio: Annotated[float, Field(gt=0, le=8)] = 1.0
    permute_soft: bool = False


class Uflow(TorchModel):
    """U-Flow; built for one size of images."""

    name = "Uflow"
    module = f"{_PACKAGE}.torch_model"
    class_name = "UflowModel"
    arguments_class = UflowArguments
    makes_constants = True
    keys = ("feature_extractor.*", "flow.*")
    absent = ("feature_adaptor.*",)
    size = (448, 448)

    @classmethod
    def keywords(cls, arguments: UflowArguments, size: Size) -> dict[str, Any]:
        """Return the arguments and the size."""
        return arguments.model_dump() | {"input_size": size}

    @classmethod
    def replacements(cls, package: Any) -> dict[str, Any]:
        """Return extractors without pretrained weights."""
        del package
        return {"get_feature_extractor": _extractor}


def _extractor(backbone: str, input_size: Size) -> nn.Module:
    package = imported(f"{_PACKAGE}.feature_extraction")
    if backbone == "mcait":
        kind = package.CaitFeatureExtractor
        return constructed(kind, {}, {"timm": _UntrainedTimm(package.timm)})
    return _normalised_layers(package, backbone, input_size)


class _UntrainedTimm:
    """The part of timm that the extractor uses; networks are untrained."""

    def __init__(self, timm: Any) -> None:
        self._timm = timm

    def create_model(self, name: str, pretrained: bool = False) -> Any:
        del pretrained
        return self._timm.create_model(name, pretrained=False)


def _normalised_layers(package: Any, backbone: str, size: Size) -> nn.Module:
    """Return the extractor of a ResNet; its own constructor always loads pretrained weights, its base class can do without."""
    kind = package.LayerNormFeatureExtractor
    extractor = kind.__new__(kind)
    package.TimmFeatureExtractor.__init__(
        extractor, backbone, _LAYERS, pre_trained=False
    )
    information = extractor.feature_extractor.feature_info
    extractor.channels = information.channels()
    extractor.scale_factors = information.reduction()
    extractor.scales = range(len(extractor.scale_factors))
    norms = [
        nn.LayerNorm([channels, int(size[0] / scale), int(size[1] / scale)])
        for channels, scale in zip(
            extractor.channels, extractor.scale_factors, strict=True
        )
    ]
    extractor.feature_normalizations = nn.ModuleList(norms)
    return extractor  # type: ignore[no-any-return]
