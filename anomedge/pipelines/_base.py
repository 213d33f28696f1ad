"""What every detector is: an eval-only module made by fitting, whose forward has one return type."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from anomedge.components import FeatureExtractor, LinearResample2d
from anomedge.components.module_backbones import first_line, silenced
from anomedge.errors import InputError, ModelError
from anomedge.resample import bilinear, gaussian_blur

__all__ = ["Config", "Pipeline", "Prediction"]

Pixels = Annotated[int, Field(ge=8, le=4096)]
Triple = tuple[float, float, float]
C = TypeVar("C", bound="Config")


class Prediction(NamedTuple):
    """Raw and unclamped: score (B,), anomaly_map (B, 1, H, W)."""

    score: Tensor
    anomaly_map: Tensor


class Config(BaseModel):
    """What a detector is built from; the rest of it is tensors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: str
    layers: tuple[str, ...]
    size: tuple[Pixels, Pixels]
    mean: Triple
    std: Triple
    sigma: float = Field(default=4.0, gt=0, le=1024)


class Pipeline(nn.Module, ABC):
    """A detector for images of one size.

    A subclass says how it is built from its configuration, how it is fitted to a stream, and what its stages are;
    the last two stages are always `anomaly_map` and `score`.
    """

    name: ClassVar[str]
    config_class: ClassVar[type[Config]]
    default_backbone: ClassVar[str]
    default_strides: ClassVar[tuple[int, ...]]
    fit: ClassVar[Callable[..., Pipeline]]
    """fit(batches, extractor, size, seed, ...), a classmethod: batches of images, float (B, 3, H, W) in [0, 1], are
    seen once each; the same seed makes the same detector. What follows the seed is the detector's own."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: Config, extractor: FeatureExtractor) -> None:
        super().__init__()
        self.config = config
        self.extractor = extractor.eval()
        self.register_buffer(
            "mean",
            torch.tensor(config.mean, device="cpu").reshape(1, 3, 1, 1),
            persistent=False,
        )
        self.register_buffer(
            "std",
            torch.tensor(config.std, device="cpu").reshape(1, 3, 1, 1),
            persistent=False,
        )

    @abstractmethod
    def stages(self, images: Tensor) -> dict[str, Tensor]:
        """Every quantity on the way, in order, ending in `anomaly_map` and `score`."""

    def forward(self, images: Tensor) -> Prediction:
        """Images, float (B, 3, H, W) in [0, 1], to raw score and map."""
        stages = self.stages(images)
        return Prediction(stages["score"], stages["anomaly_map"])

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Feature maps of the scaled images, by layer."""
        features: dict[str, Tensor] = self.extractor(
            (images - self.mean) / self.std
        )
        return features

    def with_extractor(self, extractor: nn.Module) -> Pipeline:
        """The same detector on another backbone, which takes and gives what its own does; all else is shared."""
        twin = copy.copy(self)
        twin._modules = self._modules | {"extractor": extractor}
        return twin


def checked_config(kind: type[C], **values: Any) -> C:
    """A configuration of what a user asked for.

    Raises:
        InputError: a value out of range.
    """
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"got {name} = {first['input']!r}; expected otherwise: {first['msg']}"
        ) from error


def base_config(
    extractor: FeatureExtractor, size: tuple[int, int]
) -> dict[str, Any]:
    """What every detector's configuration starts with."""
    return {
        "backbone": extractor.backbone,
        "layers": tuple(extractor.layers),
        "size": size,
        "mean": extractor.mean,
        "std": extractor.std,
    }


def map_sizes(
    extractor: FeatureExtractor, size: tuple[int, int]
) -> list[tuple[int, int]]:
    """Height and width of each layer's feature map, found without computing one.

    Raises:
        ModelError: the backbone does not take images of that size, or its maps are not (B, C, h, w).
    """
    parameter = next(extractor.parameters(), torch.zeros(()))
    try:
        with (
            torch.no_grad(),
            silenced("torch._subclasses.fake_tensor"),
            FakeTensorMode(allow_non_fake_inputs=True),
        ):
            images = torch.empty(
                1, 3, *size, dtype=parameter.dtype, device=parameter.device
            )
            shapes = {
                layer: tuple(int(n) for n in x.shape)
                for layer, x in extractor(images).items()
            }
    except (
        RuntimeError,
        ValueError,
        TypeError,
        IndexError,
        AssertionError,
        ModelError,
    ) as error:
        cause = error.__cause__ if isinstance(error, ModelError) else error
        raise ModelError(
            f"{extractor.backbone} does not take images of {size[0]}x{size[1]} ({first_line(cause)}); expected a size that it accepts: "
            f"give another --size or --backbone"
        ) from error
    finally:
        # LeViT and its like remember biases that they have computed, here without numbers. Setting the mode clears them.
        extractor.eval()
    for (layer, shape), channels in zip(
        shapes.items(), extractor.channels, strict=True
    ):
        if len(shape) != 4 or shape[1] != channels:
            raise ModelError(
                f"layer {layer} of {extractor.backbone} gives {shape}; expected (B, {channels}, h, w): "
                f"give a convolutional --backbone"
            )
    return [shape[2:] for shape in shapes.values()]  # type: ignore[misc]


def map_resampling(
    grid: tuple[int, int], size: tuple[int, int], sigma: float
) -> LinearResample2d:
    """From the grid of patches to the anomaly map: bilinear upsampling, then Gaussian blur, as one pair of matrices.

    The kernel has 2 int(4 sigma + 1/2) + 1 pixels, as anomalib and scipy truncate it.
    """
    kernel_size = 2 * int(4.0 * sigma + 0.5) + 1
    if min(size) <= kernel_size // 2:
        raise InputError(
            f"got images of {size}; expected over {kernel_size // 2} pixels for sigma {sigma}: enlarge --size"
        )
    rows, columns = (
        gaussian_blur(n_out, kernel_size, sigma) @ bilinear(n_in, n_out)
        for n_in, n_out in zip(grid, size, strict=True)
    )
    return LinearResample2d(rows, columns)
