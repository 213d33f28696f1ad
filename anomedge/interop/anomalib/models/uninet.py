"""UniNet."""

from typing import Any, Literal

from torch import nn

from anomedge.interop.anomalib.models.base import Arguments, Size, TorchModel

__all__ = ["UniNet"]

Network = Literal["resnet18", "resnet34", "resnet50", "wide_resnet50_2"]


class UniNetArguments(Arguments):
    """Arguments of UniNet."""

    student_backbone: Network = "wide_resnet50_2"
    teacher_backbone: Network = "wide_resnet50_2"


class UniNet(TorchModel):
    """UniNet; anomalib's own constructor downloads the backbone's weights."""

    name = "UniNet"
    module = "anomalib.models.image.uninet.torch_model"
    class_name = "UniNetModel"
    arguments_class = UniNetArguments
    keys = ("teachers.source_teacher.*", "student.*", "bottleneck.*")

    @classmethod
    def keywords(cls, arguments: UniNetArguments, size: Size) -> dict[str, Any]:
        """Return the arguments; the loss has no tensors and acts in training only."""
        del size
        return arguments.model_dump() | {"loss": nn.Identity()}

    @classmethod
    def replacements(cls, package: Any) -> dict[str, Any]:
        """Return two teachers that are cut from untrained backbones."""

        def untrained(backbone: str) -> Any:
            network = getattr(package.torchvision.models, backbone)(
                weights=None
            )
            return package.create_feature_extractor(
                network, return_nodes=["layer3", "layer2", "layer1"]
            )

        def teachers(backbone: str) -> Any:
            kind = package.Teachers
            module = kind.__new__(kind)
            module.__dict__["_get_teacher"] = untrained
            kind.__init__(module, backbone)
            del module.__dict__["_get_teacher"]
            return module

        return {"Teachers": teachers}
