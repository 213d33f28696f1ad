"""EfficientAD."""

from typing import Annotated, Any, Literal

from pydantic import Field

from anomedge.interop.anomalib.defaults import UNSCALED
from anomedge.interop.anomalib.models.base import (
    Arguments,
    Size,
    TorchModel,
    imported,
)
from anomedge.pipelines.efficient_ad import EfficientAd as NativeEfficientAd

__all__ = ["EfficientAd"]

_MODULE = "anomalib.models.image.efficient_ad.torch_model"


class EfficientAdArguments(Arguments):
    """Arguments of EfficientAD."""

    teacher_out_channels: Annotated[int, Field(ge=1, le=4096)] = 384
    model_size: Literal["small", "medium"] = "small"
    padding: bool = False
    pad_maps: bool = True


class EfficientAd(TorchModel):
    """EfficientAD; its networks scale their input themselves."""

    name = "EfficientAd"
    module = _MODULE
    class_name = "EfficientAdModel"
    arguments_class = EfficientAdArguments
    keys = (
        "teacher.conv1.weight",
        "student.conv1.weight",
        "ae.encoder.*",
        "quantiles.*",
    )
    scaling = UNSCALED
    legal_notice = NativeEfficientAd.legal_notice

    @classmethod
    def keywords(
        cls, arguments: EfficientAdArguments, size: Size
    ) -> dict[str, Any]:
        """Return the arguments; the size of the networks is an enumeration."""
        del size
        sizes = imported(cls.module).EfficientAdModelSize
        return arguments.model_dump() | {
            "model_size": sizes(arguments.model_size)
        }
