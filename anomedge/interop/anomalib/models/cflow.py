"""CFLOW: conditional flows on the positions of feature maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Backbone,
    Layers,
    Size,
    TorchModel,
    with_globals_in,
)

__all__ = ["Cflow"]


class CflowArguments(Arguments):
    """Arguments of CFLOW."""

    backbone: Backbone = "wide_resnet50_2"
    layers: Layers = ("layer2", "layer3", "layer4")
    decoder: Literal["freia-cflow"] = "freia-cflow"
    condition_vector: Annotated[int, Field(ge=4, le=1024)] = 128
    coupling_blocks: Annotated[int, Field(ge=1, le=64)] = 8
    clamp_alpha: Annotated[float, Field(gt=0, le=100)] = 1.9
    permute_soft: bool = False


class Cflow(TorchModel):
    """CFLOW with maxima of each image."""

    name = "Cflow"
    module = "anomalib.models.image.cflow.torch_model"
    class_name = "CflowModel"
    arguments_class = CflowArguments
    makes_constants = True
    keys = ("encoder.*", "decoders.*")
    difference = (
        "likelihoods are normalised by the maxima of each image; anomalib takes those of the whole batch, "
        "so its scores equal these at batch 1 only"
    )

    @classmethod
    def build(cls, arguments: CflowArguments, size: Size) -> nn.Module:
        """Return the model; its map is computed image by image."""
        model: Any = super().build(arguments, size)
        model.anomaly_map_generator = MapOfEachImage()
        return with_globals_in(
            model, "forward", {"positional_encoding_2d": position_encoding}
        )

    @classmethod
    def keywords(cls, arguments: CflowArguments, size: Size) -> dict[str, Any]:
        """Return the arguments."""
        del size
        return arguments.model_dump() | {"pre_trained": False}


def position_encoding(channels: int, height: int, width: int) -> Tensor:
    """Return sines and cosines of the positions, (channels, height, width): of columns, then of rows.

    anomalib writes them into slices, which becomes an operator that opset 17
    cannot express.
    """
    half = channels // 2
    rates = torch.exp(torch.arange(0.0, half, 2) * -(math.log(10000.0) / half))
    columns = _waves(rates, width)[:, None, :].expand(half, height, width)
    rows = _waves(rates, height)[:, :, None].expand(half, height, width)
    return torch.cat([columns, rows])


def _waves(rates: Tensor, length: int) -> Tensor:
    """Return sine and cosine of each rate in turn, (2 R, length)."""
    angles = torch.arange(0.0, length)[None] * rates[:, None]
    pairs = torch.stack([torch.sin(angles), torch.cos(angles)], dim=1)
    return pairs.reshape(2 * len(rates), length)


class MapOfEachImage(nn.Module):
    """Anomaly maps from log-likelihoods, normalised by the maxima of each image."""

    def forward(
        self,
        distribution: Sequence[Tensor],
        height: Sequence[int],
        width: Sequence[int],
        image_size: Sequence[int],
    ) -> Tensor:
        """Return maps (B, H, W).

        Args:
            distribution: log-likelihoods of each layer, (B h w,).
            height: h of each layer.
            width: w of each layer.
            image_size: (H, W).
        """
        levels = []
        for i in range(len(distribution)):
            level = distribution[i].reshape(-1, 1, height[i], width[i])
            highest = level.amax(dim=(1, 2, 3), keepdim=True)
            likelihood = torch.exp(level - highest)
            levels.append(
                F.interpolate(
                    likelihood,
                    size=tuple(image_size),
                    mode="bilinear",
                    align_corners=True,
                )
            )
        total = torch.stack(levels).sum(dim=0)
        return (total.amax(dim=(1, 2, 3), keepdim=True) - total).squeeze(1)
