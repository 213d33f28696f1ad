"""Bases of detectors on feature maps of a backbone."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import torch
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from torch import Tensor, nn
from typing_extensions import Self

from anomedge.components import FeatureExtractor
from anomedge.components.features import (
    PACKAGED_WEIGHTS,
    depth_layers,
    layers_at_strides,
)
from anomedge.errors import InputError
from anomedge.names import storable
from anomedge.pipelines.base import Config, Options, Pipeline, Suggestion
from anomedge.pipelines.data import FitData
from anomedge.resample import Geometry

__all__ = [
    "BackboneConfig",
    "BackboneOptions",
    "BackbonePipeline",
    "DefaultLayersWarning",
    "FeatureConfig",
    "FeatureOptions",
    "FeaturePipeline",
    "extracted",
]

RANDOM = "random"
_USUAL_STEP = 32
Sigma = Annotated[float, Field(gt=0, le=1024)]
Triple = tuple[float, float, float]
Mean = Annotated[float, Field(ge=0, le=1)]
Deviation = Annotated[float, Field(ge=1e-4, le=1)]


class DefaultLayersWarning(UserWarning):
    """The backbone has no layers at the detector's strides, so other layers are used."""


class BackboneConfig(Config):
    """Configuration of a detector on a backbone; `mean` and `std` scale images in [0, 1] to its input."""

    backbone: str
    layers: tuple[str, ...]
    mean: Triple
    std: Triple

    @classmethod
    def of(
        cls, extractor: FeatureExtractor, size: tuple[int, int], **own: Any
    ) -> Self:
        """Return the configuration of a detector on an extractor, for images of a size (H, W).

        Raises:
            InputError: a value out of range.
        """
        return cls.checked(
            backbone=extractor.backbone,
            layers=tuple(extractor.layers),
            size=size,
            mean=extractor.mean,
            std=extractor.std,
            **own,
        )


class FeatureConfig(BackboneConfig):
    """Configuration of a detector with a blurred map; `sigma` is the blur's standard deviation, in pixels."""

    sigma: Sigma = 4.0


class BackboneOptions(Options):
    """Fit options of a detector on a backbone; in Python, `backbone` may also be a module."""

    backbone: str | nn.Module | None = Field(
        None, description="timm architecture; default: the detector's own."
    )
    layers: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Layer names with commas, finest first; default: the layers at the detector's strides.",
    )
    weights: str | Path | None = Field(
        None,
        description="efficientnet-lite0, a .safetensors or .pth file, or random; default: ImageNet weights.",
    )
    mean: tuple[Mean, Mean, Mean] | None = Field(
        None,
        description="Mean of the backbone's images, 0 to 1, red, green and blue with commas; default: the architecture's.",
    )
    std: tuple[Deviation, Deviation, Deviation] | None = Field(
        None,
        description="Standard deviation of the backbone's images, up to 1, with commas; default: the architecture's.",
    )

    @field_validator("layers", mode="before")
    @classmethod
    def _split_layers(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return (
            tuple(name.strip() for name in value.split(",")) if value else None
        )

    @field_validator("mean", "std", mode="before")
    @classmethod
    def _split_numbers(cls, value: Any) -> Any:
        numbers = value.split(",") if isinstance(value, str) else value
        if numbers is not None and len(numbers) != 3:
            raise PydanticCustomError(
                "three", "three numbers with commas, such as 0.485,0.456,0.406"
            )
        return numbers

    def weights_name(self) -> str:
        """Return the weights' name without the folder of a file."""
        if isinstance(self.backbone, nn.Module):
            return "module"
        if self.weights is None:
            return "imagenet"
        name = str(self.weights)
        if name == RANDOM or name in PACKAGED_WEIGHTS:
            return name
        return storable(Path(name).name)

    def weights_licence(self) -> str:
        """Return the licence of packaged weights; random ones have none."""
        if self.weights == RANDOM:
            return "none: random numbers"
        entry = PACKAGED_WEIGHTS.get(str(self.weights))
        return str(entry["licence"]) if entry else super().weights_licence()


class FeatureOptions(BackboneOptions):
    """Fit options of a detector with a blurred map."""

    sigma: Sigma = Field(
        4.0,
        description="Standard deviation of the anomaly map's blur, in pixels.",
    )


BC = TypeVar("BC", bound=BackboneConfig)
BO = TypeVar("BO", bound=BackboneOptions)
FC = TypeVar("FC", bound=BackboneConfig)
FO = TypeVar("FO", bound=BackboneOptions)


class BackbonePipeline(Pipeline[BC, BO]):
    """A detector on the feature maps of a backbone, with any number of networks.

    A subclass also states `default_backbone`, a timm architecture, and `default_strides`, the strides of its layers,
    and `final_norm` if the final norm of a transformer belongs to its features; None if the backbone may be either.

    Args:
        config: the configuration.
        networks: the networks by name, see `build_networks`.
    """

    default_backbone: ClassVar[str]
    default_strides: ClassVar[tuple[int, ...]]
    final_norm: ClassVar[bool | None] = False

    mean: Tensor
    std: Tensor

    def __init__(self, config: BC, **networks: nn.Module) -> None:
        super().__init__(config, **networks)
        for name in ("mean", "std"):
            values = torch.tensor(getattr(config, name), device="cpu")
            column = values.reshape(1, 3, 1, 1)
            self.register_buffer(name, column, persistent=False)

    @classmethod
    def build_extractor(
        cls, data: FitData, options: BackboneOptions
    ) -> FeatureExtractor:
        """Return the extractor of the options; random weights follow from the data's seed.

        Raises:
            InputError: options that do not suit each other, or layers that are not in order.
            ModelError: backbone, layers or weights cannot be used.
        """
        _refuse_incomplete_module(options)
        backbone = options.backbone or cls.default_backbone
        layers = options.layers or cls._default_layers(str(backbone))
        random = options.weights == RANDOM
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(data.seed)
            extractor = FeatureExtractor(
                backbone,
                layers,
                pre_trained=not random,
                weights=None if random else options.weights,
                size=data.size,
                final_norm=cls.final_norm,
            )
        extractor.mean = options.mean or extractor.mean
        extractor.std = options.std or extractor.std
        if extractor.strides != sorted(extractor.strides):
            raise InputError(
                f"got layers {extractor.layers} of strides {extractor.strides}; expected the finest first"
            )
        return extractor

    @classmethod
    def empty_extractor(
        cls,
        config: BC,
        backbone: nn.Module | None = None,
        *,
        trainable: bool = False,
    ) -> FeatureExtractor:
        """Return the extractor of a configuration without trained weights.

        Args:
            config: the configuration.
            backbone: a module in place of the architecture that it names.
            trainable: whether it is to be trained.
        """
        return FeatureExtractor(
            backbone or config.backbone,
            config.layers,
            pre_trained=False,
            size=config.size,
            trainable=trainable,
            final_norm=cls.final_norm,
        )

    def scaled(self, images: Tensor) -> Tensor:
        """Return images in [0, 1] as the backbone takes them."""
        return (images - self.mean) / self.std

    def describe(self) -> str:
        """Return name, backbone and layers."""
        layers = ", ".join(self.config.layers)
        return f"{self.name} on {self.config.backbone}, layers {layers}"

    def suggestions(
        self, geometry: Geometry, fitted: int
    ) -> Iterator[Suggestion]:
        """Yield the detector without its coarsest layer, and with smaller images."""
        del fitted
        layers = self.config.layers[:-1]
        if layers:
            yield Suggestion(
                "backbone",
                f"Without {self.config.layers[-1]} (fit with --layers {','.join(layers)})",
                self.config_with_layers(len(layers)),
            )
        if geometry.tiling is not None:
            return
        step = _step(self.get_submodule(self.networks[0]))
        smaller = replace(
            geometry,
            size=_three_quarters(geometry.size, step),
            crop=geometry.crop and _three_quarters(geometry.crop, step),
        )
        for part in ("backbone", "distances"):
            yield Suggestion(
                part,
                _size_options(smaller),
                self.config_with_size(smaller.image),
                smaller,
            )

    def config_with_layers(self, count: int) -> BC:
        """Return the configuration with the first layers only."""
        return self.config.model_copy(
            update={"layers": self.config.layers[:count]}
        )

    def config_with_size(self, size: tuple[int, int]) -> BC:
        """Return the configuration for images of another size (H, W)."""
        return self.config.model_copy(update={"size": size})

    @classmethod
    def _default_layers(cls, backbone: str) -> Sequence[str]:
        """Return the layers at the detector's strides, or spread over the depth of a single-stride backbone."""
        layers = depth_layers(backbone, len(cls.default_strides))
        if layers is None:
            return layers_at_strides(backbone, cls.default_strides)
        strides = ", ".join(map(str, cls.default_strides))
        warnings.warn(
            f"{backbone} has one stride in all layers, not {cls.name}'s {strides}: using layers "
            f"{', '.join(layers)}, spread over its depth; choose others with --layers",
            DefaultLayersWarning,
            stacklevel=5,
        )
        return layers


class FeaturePipeline(BackbonePipeline[FC, FO]):
    """A detector on the feature maps of one backbone, its only network.

    Args:
        config: the configuration.
        extractor: the backbone, finest layer first.
    """

    networks: ClassVar[tuple[str, ...]] = ("extractor",)

    extractor: FeatureExtractor

    def __init__(self, config: FC, extractor: FeatureExtractor) -> None:
        super().__init__(config, extractor=extractor)

    @classmethod
    def build_networks(
        cls, config: FC, backbone: nn.Module | None = None
    ) -> dict[str, nn.Module]:
        """Return the extractor without trained weights."""
        return {"extractor": cls.empty_extractor(config, backbone)}

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Return the feature maps by layer, of images in [0, 1]."""
        features: dict[str, Tensor] = self.extractor(self.scaled(images))
        return features

    def with_extractor(self, extractor: nn.Module) -> Self:
        """Return this detector on another extractor; all other tensors are shared."""
        return self.with_networks({"extractor": extractor})


def extracted(
    extractor: FeatureExtractor, data: FitData
) -> Iterator[dict[str, Tensor]]:
    """Yield the feature maps by layer of each batch, of images in [0, 1].

    Raises:
        InputError: no images.
    """
    mean, std = (
        torch.tensor(values).reshape(1, 3, 1, 1)
        for values in (extractor.mean, extractor.std)
    )
    extractor.eval()
    images = None
    for images in data:
        with torch.no_grad():
            features = extractor((images - mean) / std)
        yield features
    if images is None:
        raise InputError(
            "got no picture; expected at least one: give more pictures"
        )


def _refuse_incomplete_module(options: BackboneOptions) -> None:
    if not isinstance(options.backbone, nn.Module):
        return
    if options.layers is None:
        raise InputError(
            "got a module as backbone without layers; expected their paths: name them with layers=[...]"
        )
    if options.weights is not None:
        raise InputError(
            "got a module as backbone and weights; expected one of them: load weights into the module"
        )


def _size_options(geometry: Geometry) -> str:
    size = _size(geometry.size)
    crop = f" --crop {_size(geometry.crop)}" if geometry.crop else ""
    return f"Images of {size} (fit with --size {size}{crop})"


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _step(backbone: nn.Module) -> int:
    """Return 32, the total stride of most backbones, or a stride that does not divide it, such as a patch of 14."""
    if not isinstance(backbone, FeatureExtractor):
        return _USUAL_STEP
    largest = max(backbone.strides)
    return largest if _USUAL_STEP % largest else _USUAL_STEP


def _three_quarters(size: tuple[int, int], step: int) -> tuple[int, int]:
    """Return about 3/4 of a size, in multiples of a step."""
    height, width = (max(step, round(n * 0.75 / step) * step) for n in size)
    return height, width
