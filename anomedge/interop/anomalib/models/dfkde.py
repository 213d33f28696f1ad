"""DFKDE: kernel density of deep features."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Backbone,
    Layers,
    Size,
    TorchModel,
    imported,
)

__all__ = ["Dfkde"]


class DfkdeArguments(Arguments):
    """Arguments of DFKDE."""

    backbone: Backbone = "resnet18"
    layers: Layers = ("layer4",)
    n_pca_components: Annotated[int, Field(ge=1, le=65536)] = 16
    feature_scaling_method: Literal["norm", "scale"] = "scale"


class Dfkde(TorchModel):
    """DFKDE: a score, no anomaly map."""

    name = "Dfkde"
    module = "anomalib.models.image.dfkde.torch_model"
    class_name = "DfkdeModel"
    arguments_class = DfkdeArguments
    keys = ("classifier.kde_model.dataset", "classifier.pca_model.mean")
    sized = ("classifier.*",)

    @classmethod
    def build(cls, arguments: DfkdeArguments, size: Size) -> nn.Module:
        """Return the model; its density takes any number of images at once."""
        model: Any = super().build(arguments, size)
        model.classifier.kde_model = Density()
        return model  # type: ignore[no-any-return]

    @classmethod
    def keywords(cls, arguments: DfkdeArguments, size: Size) -> dict[str, Any]:
        """Return the arguments; the scaling is an enumeration."""
        del size
        methods = imported(
            "anomalib.models.components.classification"
        ).FeatureScalingMethod
        return arguments.model_dump() | {
            "feature_scaling_method": methods(arguments.feature_scaling_method),
            "pre_trained": False,
        }


class Density(nn.Module):
    """Mean of Gaussian kernels on the fitted features, with anomalib's buffers.

    anomalib loops over the images, which fixes the batch of an exported graph.
    """

    bw_transform: Tensor
    dataset: Tensor
    norm: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("bw_transform", "dataset", "norm"):
            self.register_buffer(name, torch.empty(0))

    def forward(self, features: Tensor) -> Tensor:
        """Return the density (B,) of features (B, D)."""
        whitened = torch.matmul(features, self.bw_transform)
        difference = self.dataset.unsqueeze(0) - whitened.unsqueeze(1)
        distances = (difference**2).sum(dim=2)
        return (torch.exp(-distances / 2) * self.norm).mean(dim=1)
