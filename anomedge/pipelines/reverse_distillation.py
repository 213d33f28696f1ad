r"""Reverse distillation from a one-class embedding (Deng & Li 2022, arXiv:2201.10703).

A pretrained encoder E gives the feature maps :math:`F^k_E` (C_k, h_k, w_k) of an image. A bottleneck embeds them in one
small map :math:`\phi`, from which a decoder D restores them as :math:`F^k_D`. Both learn on normal images, so that the
embedding has no room for an anomaly. At position (i, j) of layer k,

.. math:: M^k_{ij} = 1 - \frac{F^k_E \cdot F^k_D}{\lVert F^k_E \rVert \lVert F^k_D \rVert}\bigg|_{ij}

along the channels. The anomaly map is the sum over layers of :math:`M^k`, upsampled bilinearly to the image with the
corner positions at the corner pixels, and blurred by a Gaussian of sigma = 4 pixels; the score is the maximum of the
map. With `anomaly_map_mode` = `multiply` the layers are multiplied, not added.

The loss of an image is the sum over layers of :math:`1 - \cos(F^k_E, F^k_D)` of the whole flattened maps, as in the
published code and in anomalib 2.7; equation 2 of the paper has the mean of :math:`M^k` over positions.

Defaults are the paper's: wide_resnet50_2, layers of strides 4, 8 and 16, Adam of learning rate 0.005 and
:math:`\beta = (0.5, 0.999)`, 200 epochs of batches of 16. anomalib 2.7 has :math:`\beta_2 = 0.99`.
"""

from __future__ import annotations

from functools import reduce
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam

from anomedge.components import FeatureExtractor, LinearResample2d
from anomedge.components.one_class_bottleneck import OneClassBottleneck
from anomedge.components.reverse_decoder import ReverseDecoder
from anomedge.components.reverse_networks import reverse_networks
from anomedge.components.unit_length import unit_length
from anomedge.errors import InputError
from anomedge.pipelines.data import FitData
from anomedge.pipelines.features import (
    BackbonePipeline,
    FeatureConfig,
    FeatureOptions,
)
from anomedge.pipelines.maps import map_resampling, map_sizes
from anomedge.pipelines.training import TrainedPipeline, TrainOptions
from anomedge.resample import between_corners

__all__ = [
    "ReverseDistillation",
    "ReverseDistillationConfig",
    "ReverseDistillationOptions",
]

Size = tuple[int, int]
MapMode = Literal["add", "multiply"]


class ReverseDistillationConfig(FeatureConfig):
    """Configuration of reverse distillation."""

    anomaly_map_mode: MapMode = "add"


class ReverseDistillationOptions(FeatureOptions, TrainOptions):
    """Fit options of reverse distillation."""

    epochs: int = Field(
        200,
        ge=1,
        le=100_000,
        description="Passes over the pictures; fewer with --patience.",
    )
    train_batch: int = Field(
        16, ge=1, le=4096, description="Images per step of the training."
    )
    learning_rate: float = Field(
        0.005, gt=0, le=100, description="Learning rate of Adam."
    )
    beta1: float = Field(
        0.5, ge=0, lt=1, description="Adam's decay of the mean gradient."
    )
    beta2: float = Field(
        0.999, ge=0, lt=1, description="Adam's decay of the mean square."
    )
    anomaly_map_mode: MapMode = Field(
        "add", description="How the layers' distances become one map."
    )


class ReverseDistillation(
    TrainedPipeline[ReverseDistillationConfig, ReverseDistillationOptions],
    BackbonePipeline[ReverseDistillationConfig, ReverseDistillationOptions],
):
    """Reverse distillation: a decoder restores an encoder's features (Deng & Li 2022)."""

    name = "reverse_distillation"
    config_class = ReverseDistillationConfig
    options_class = ReverseDistillationOptions
    networks = ("encoder", "bottleneck", "decoder")
    trained = ("bottleneck", "decoder")
    default_backbone = "wide_resnet50_2"
    default_strides: ClassVar[tuple[int, ...]] = (4, 8, 16)

    encoder: FeatureExtractor
    bottleneck: OneClassBottleneck
    decoder: ReverseDecoder
    to_map: nn.ModuleList
    blur: nn.Module

    def __init__(
        self,
        config: ReverseDistillationConfig,
        encoder: FeatureExtractor,
        bottleneck: OneClassBottleneck,
        decoder: ReverseDecoder,
    ) -> None:
        super().__init__(
            config, encoder=encoder, bottleneck=bottleneck, decoder=decoder
        )
        size = config.size
        levels = map_sizes(encoder, size)
        _refuse_unequal_maps(encoder, levels, size)
        if config.anomaly_map_mode == "add":
            # Blurring each layer, within its upsampling, blurs the sum.
            self.to_map = nn.ModuleList(
                map_resampling(grid, size, config.sigma, "corners")
                for grid in levels
            )
            self.blur = nn.Identity()
        else:
            self.to_map = nn.ModuleList(
                _upsampling(grid, size) for grid in levels
            )
            self.blur = map_resampling(size, size, config.sigma)

    @classmethod
    def build_networks(
        cls,
        config: ReverseDistillationConfig,
        backbone: nn.Module | None = None,
    ) -> dict[str, nn.Module]:
        """Return encoder, bottleneck and decoder without trained weights."""
        encoder = cls.empty_extractor(config, backbone)
        bottleneck, decoder = _restoring(encoder)
        return {
            "encoder": encoder,
            "bottleneck": bottleneck,
            "decoder": decoder,
        }

    @classmethod
    def create(
        cls, data: FitData, options: ReverseDistillationOptions
    ) -> ReverseDistillation:
        """Return a pretrained encoder with a random bottleneck and a random decoder."""
        encoder = cls.build_extractor(data, options)
        config = ReverseDistillationConfig.of(
            encoder,
            data.size,
            sigma=options.sigma,
            anomaly_map_mode=options.anomaly_map_mode,
        )
        bottleneck, decoder = _restoring(encoder)
        return cls(config, encoder, bottleneck, decoder)

    def optimiser(self, options: ReverseDistillationOptions) -> Adam:
        """Return Adam on bottleneck and decoder."""
        return Adam(
            self.trained_parameters(),
            lr=options.learning_rate,
            betas=(options.beta1, options.beta2),
            weight_decay=options.weight_decay,
        )

    def loss(self, images: Tensor) -> Tensor:
        """Return the mean over images of the sum over layers of 1 - cos of the flattened maps."""
        encoded = self.encoder(self.scaled(images))
        _, decoded = self.restored(encoded)
        losses = [
            1 - F.cosine_similarity(encoded[k].flatten(1), x.flatten(1)).mean()
            for k, x in decoded.items()
        ]
        return torch.stack(losses).sum()

    def restored(
        self, encoded: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the embedding of feature maps, and by layer the maps that the decoder restores from it."""
        embedding = self.bottleneck(list(encoded.values()))
        decoded = self.decoder(embedding)
        return embedding, dict(zip(encoded, decoded, strict=True))

    def combined(self, distances: list[Tensor]) -> Tensor:
        """Return the anomaly map (B, 1, H, W) of the distances (B, 1, h_k, w_k)."""
        large = [
            upsample(level)
            for upsample, level in zip(self.to_map, distances, strict=True)
        ]
        is_sum = self.config.anomaly_map_mode == "add"
        anomaly_map: Tensor = reduce(torch.add if is_sum else torch.mul, large)
        blurred: Tensor = self.blur(anomaly_map)
        return blurred

    def stages(self, images: Tensor) -> dict[str, Tensor]:
        """Return `features/...` of the networks, `distances/<layer>`, `anomaly_map` and `score`."""
        encoded = self.encoder(self.scaled(images))
        embedding, decoded = self.restored(encoded)
        distances = {
            layer: _distance(features, decoded[layer])
            for layer, features in encoded.items()
        }
        anomaly_map = self.combined(list(distances.values()))
        return {
            **{f"features/encoder/{k}": x for k, x in encoded.items()},
            "features/bottleneck": embedding,
            **{f"features/decoder/{k}": x for k, x in decoded.items()},
            **{f"distances/{k}": x for k, x in distances.items()},
            "anomaly_map": anomaly_map,
            "score": anomaly_map.flatten(1).amax(dim=1),
        }


def _restoring(
    encoder: FeatureExtractor,
) -> tuple[OneClassBottleneck, ReverseDecoder]:
    return reverse_networks(encoder.backbone, encoder.channels)


def _distance(one: Tensor, other: Tensor) -> Tensor:
    """Return 1 - cos along the channels, (B, 1, h, w)."""
    product = unit_length(one) * unit_length(other)
    return 1 - product.sum(dim=1, keepdim=True)


def _upsampling(grid: Size, size: Size) -> LinearResample2d:
    rows, columns = (
        between_corners(n_in, n_out)
        for n_in, n_out in zip(grid, size, strict=True)
    )
    return LinearResample2d(rows, columns)


def _refuse_unequal_maps(
    encoder: FeatureExtractor, levels: list[Size], size: Size
) -> None:
    """Refuse layers and sizes for which the decoder's maps have other sizes than the encoder's.

    Raises:
        InputError: such layers, or such a size.
    """
    strides = encoder.strides
    doubled = [2 * stride for stride in strides[:-1]]
    if strides[1:] != doubled:
        # A vision transformer has one stride in all layers.
        advice = "one of them" if len(set(strides)) == 1 else "other layers"
        raise InputError(
            f"got layers {', '.join(encoder.layers)} of strides {strides}; expected each stride to be twice the one before, "
            f"as the decoder doubles the sides: give {advice} with --layers"
        )
    *finer, (h, w) = levels
    count = len(finer)
    fits = [
        grid == (h << (count - place), w << (count - place))
        for place, grid in enumerate(finer)
    ]
    if all(fits) and h % 2 == w % 2 == 0:
        return
    step = 2 * strides[-1]
    near = " or ".join(_multiples(size, step))
    raise InputError(
        f"got images of {size[0]}x{size[1]}; expected both sides to be multiples of {step}, so that the decoder's maps "
        f"have the sizes of the encoder's: give --size {near}"
        f" (--crop or --tile where given)"
    )


def _multiples(size: Size, step: int) -> list[str]:
    """Return the nearest sizes below and above whose sides are multiples of a step."""
    below = [max(step, n // step * step) for n in size]
    above = [-(-n // step) * step for n in size]
    sizes = [f"{height}x{width}" for height, width in (below, above)]
    return list(dict.fromkeys(sizes))
