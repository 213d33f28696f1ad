"""GLASS."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field
from torch import nn

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Backbone,
    Layers,
    Size,
    TorchModel,
)

__all__ = ["Glass"]

Width = Annotated[int, Field(ge=1, le=16384)]


class GlassArguments(Arguments):
    """Arguments of GLASS; the other ones act in training only."""

    input_shape: tuple[Width, Width] | None = None
    backbone: Backbone = "wide_resnet50_2"
    pretrain_embed_dim: Width = 1536
    target_embed_dim: Width = 1536
    patchsize: Annotated[int, Field(ge=1, le=64)] = 3
    patchstride: Annotated[int, Field(ge=1, le=64)] = 1
    layers: Layers | None = None
    pre_projection: Annotated[int, Field(ge=0, le=16)] = 1
    discriminator_layers: Annotated[int, Field(ge=1, le=16)] = 2
    discriminator_hidden: Width = 1024


class Glass(TorchModel):
    """GLASS; built for one size of images."""

    name = "Glass"
    module = "anomalib.models.image.glass.torch_model"
    class_name = "GlassModel"
    arguments_class = GlassArguments
    keys = ("forward_modules.*", "discriminator.*")
    size = (288, 288)

    @classmethod
    def keywords(cls, arguments: GlassArguments, size: Size) -> dict[str, Any]:
        """Return the arguments; layers are a list."""
        values = arguments.model_dump()
        if arguments.layers is not None:
            values["layers"] = list(arguments.layers)
        values["input_shape"] = arguments.input_shape or size
        return values | {"pre_trained": False}

    @classmethod
    def replacements(cls, package: Any) -> dict[str, Any]:
        """Return the widths that the extractor states, which anomalib runs to learn them, and no augmentation."""
        del package
        return {
            "_deduce_dims": _widths,
            "PerlinAnomalyGenerator": _no_augmentation,
        }


def _widths(extractor: Any, size: Size, layers: Sequence[str]) -> list[int]:
    del size, layers
    return list(extractor.out_dims)


def _no_augmentation(**keywords: Any) -> nn.Module:
    del keywords
    return nn.Identity()
