"""SuperSimpleNet."""

from typing import Any

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Backbone,
    Layers,
    Size,
    TorchModel,
    constructed,
    without_weights,
)

__all__ = ["Supersimplenet"]


class SupersimplenetArguments(Arguments):
    """Arguments of SuperSimpleNet; the other ones act in training only."""

    backbone: Backbone = "wide_resnet50_2.tv_in1k"
    layers: Layers = ("layer2", "layer3")
    adapt_cls_features: bool = False


class Supersimplenet(TorchModel):
    """SuperSimpleNet."""

    name = "Supersimplenet"
    module = "anomalib.models.image.supersimplenet.torch_model"
    class_name = "SupersimplenetModel"
    arguments_class = SupersimplenetArguments
    keys = ("adaptor.projection.weight", "segdec.*")

    @classmethod
    def keywords(
        cls, arguments: SupersimplenetArguments, size: Size
    ) -> dict[str, Any]:
        """Return the arguments; layers are a list."""
        del size
        return arguments.model_dump() | {"layers": list(arguments.layers)}

    @classmethod
    def replacements(cls, package: Any) -> dict[str, Any]:
        """Return the extractor without pretrained weights."""
        inner = {
            "TimmFeatureExtractor": without_weights(
                package.TimmFeatureExtractor
            )
        }

        def extractor(**keywords: Any) -> Any:
            kind = package.UpscalingFeatureExtractor
            return constructed(kind, keywords, inner)

        return {"UpscalingFeatureExtractor": extractor}
