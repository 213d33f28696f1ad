"""STFPM: student-teacher feature pyramid matching."""

from typing import Any

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Backbone,
    Layers,
    TorchModel,
    without_weights,
)

__all__ = ["Stfpm"]


class StfpmArguments(Arguments):
    """Arguments of STFPM."""

    backbone: Backbone = "resnet18"
    layers: Layers = ("layer1", "layer2", "layer3")


class Stfpm(TorchModel):
    """STFPM."""

    name = "Stfpm"
    module = "anomalib.models.image.stfpm.torch_model"
    class_name = "STFPMModel"
    arguments_class = StfpmArguments
    keys = ("teacher_model.*", "student_model.*")

    @classmethod
    def replacements(cls, package: Any) -> dict[str, Any]:
        """Return the teacher's extractor without pretrained weights."""
        return {
            "TimmFeatureExtractor": without_weights(
                package.TimmFeatureExtractor
            )
        }
