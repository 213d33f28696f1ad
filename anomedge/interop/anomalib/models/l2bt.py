"""L2BT: learning to be a transformer."""

from typing import Annotated, Any

from pydantic import Field

from anomedge.interop.anomalib.models.base import (
    Arguments,
    Size,
    TorchModel,
    constructed,
    imported,
    without_weights,
)

__all__ = ["L2bt"]

_PACKAGE = "anomalib.models.image.l2bt"
Block = Annotated[int, Field(ge=0, le=127)]
Pixels = Annotated[int, Field(ge=0, le=64)]


class L2btArguments(Arguments):
    """Arguments of L2BT."""

    layers: tuple[Block, Block] = (7, 11)
    blur_w_l: Pixels = 5
    blur_w_u: Pixels = 7
    blur_pad_l: Pixels = 2
    blur_pad_u: Pixels = 3
    blur_repeats_l: Pixels = 5
    blur_repeats_u: Pixels = 3
    topk_ratio: Annotated[float, Field(gt=0, le=1)] = 0.001


class L2bt(TorchModel):
    """L2BT."""

    name = "L2BT"
    module = f"{_PACKAGE}.torch_model"
    class_name = "L2BTModel"
    arguments_class = L2btArguments
    keys = ("teacher.fe.*", "forward_net.*", "backward_net.*")
    size = (224, 224)
    difference = (
        "pictures are stretched bilinearly; anomalib's default of this model pads them to squares and resizes bicubically, "
        "so its scores of pictures of another size differ"
    )

    @classmethod
    def keywords(cls, arguments: L2btArguments, size: Size) -> dict[str, Any]:
        """Return the arguments."""
        del size
        return arguments.model_dump()

    @classmethod
    def replacements(cls, package: Any) -> dict[str, Any]:
        """Return a teacher without pretrained weights."""
        inner = imported(f"{_PACKAGE}.teacher").TimmFeatureExtractor
        replaced = {"TimmFeatureExtractor": without_weights(inner)}

        def teacher(**keywords: Any) -> Any:
            return constructed(package.FeatureExtractor, keywords, replaced)

        return {"FeatureExtractor": teacher}
