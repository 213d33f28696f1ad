"""Reverse distillation."""

from typing import Any, Literal

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Backbone,
    Layers,
    Size,
    TorchModel,
    imported,
)

__all__ = ["ReverseDistillation"]

_PACKAGE = "anomalib.models.image.reverse_distillation"


class ReverseDistillationArguments(Arguments):
    """Arguments of reverse distillation."""

    backbone: Backbone = "wide_resnet50_2"
    layers: Layers = ("layer1", "layer2", "layer3")
    anomaly_map_mode: Literal["add", "multiply"] = "add"


class ReverseDistillation(TorchModel):
    """Reverse distillation."""

    name = "ReverseDistillation"
    module = f"{_PACKAGE}.torch_model"
    class_name = "ReverseDistillationModel"
    arguments_class = ReverseDistillationArguments
    keys = ("encoder.*", "bottleneck.bn_layer.*", "decoder.*")

    @classmethod
    def keywords(
        cls, arguments: ReverseDistillationArguments, size: Size
    ) -> dict[str, Any]:
        """Return the arguments and the size; the mode of the map is an enumeration."""
        modes = imported(f"{_PACKAGE}.anomaly_map").AnomalyMapGenerationMode
        return arguments.model_dump() | {
            "anomaly_map_mode": modes(arguments.anomaly_map_mode),
            "input_size": size,
            "pre_trained": False,
        }
