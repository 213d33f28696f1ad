r"""FastFlow: 2D normalising flows on features (Yu et al. 2021, arXiv:2111.07677).

The feature map y of a level of a frozen backbone, (C, h, w), is mapped by an invertible network f of K steps to z of the
same shape, trained so that z of normal images has a standard normal distribution. The loss of an image is the sum over
levels of its negative log-likelihood, without the constant,

.. math:: \ell = \tfrac12 \lVert z \rVert^2 - \log\lvert\det J\rvert, \qquad z = f(y), \; J = \partial f / \partial y

A step splits the channels in two halves, scales and shifts the second half by the output of a subnet of the first (two
convolutions with a ReLU between, of 3x3 in even steps and of 1x1 in odd ones), scales and shifts all channels, and
permutes them (`SelectingBlock`). Maps of a convolutional backbone are normalised first, by a layer normalisation over
(C, h, w) that is trained as well; tokens of a transformer have the transformer's own final norm.

The likelihood of a position, upsampled bilinearly to the image and averaged over the L levels, gives map and score,

.. math:: A = - \frac{1}{L} \sum_{l=1}^{L} \operatorname{up}\Big(e^{-\frac{1}{2 C_l} \sum_c z_{l,c}^2}\Big), \qquad
          s = \max_{i,j} A_{ij}

Both lie in [-1, 0]: -1 is the middle of the normal distribution, 0 is infinitely far.

Defaults are those of the paper and of anomalib 2.7: resnet18, layers of strides 4, 8 and 16, K = 8, Adam of learning
rate 1e-3 and weight decay 1e-5; 500 epochs of batches of 32 are the paper's, anomalib leaves both to its trainer. The
paper has kernels of 3x3 only for resnet18 (`conv3x3_only`) and both in turn for others; anomalib has both in turn for all.
For transformers the paper has one layer, K = 20 and narrow subnets (`hidden_ratio` 0.16): `blocks.7` of DeiT, which is
at two thirds of the depth, the default here; `blocks.40` of CaiT.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam

from anomedge.components import (
    FeatureExtractor,
    LinearResample2d,
    SequenceINN,
)
from anomedge.components.flows.selecting import SelectingBlock
from anomedge.components.map_norm import MapNorm
from anomedge.components.timm_backbones import feature_info, has_one_stride
from anomedge.errors import InputError
from anomedge.pipelines.data import FitData
from anomedge.pipelines.features import (
    BackboneConfig,
    BackboneOptions,
    BackbonePipeline,
)
from anomedge.pipelines.maps import map_sizes
from anomedge.pipelines.training import TrainedPipeline, TrainOptions
from anomedge.resample import bilinear

__all__ = ["Fastflow", "FastflowConfig", "FastflowOptions"]

Steps = Annotated[int, Field(ge=1, le=64)]
Ratio = Annotated[float, Field(gt=0, le=8)]
_CLAMPING = 2.0


class FastflowConfig(BackboneConfig):
    """Configuration; `has_norm` tells whether the maps are normalised by trained layers."""

    flow_steps: Steps
    conv3x3_only: bool
    hidden_ratio: Ratio
    has_norm: bool


class FastflowOptions(BackboneOptions, TrainOptions):
    """Fit options of FastFlow."""

    epochs: int = Field(
        500,
        ge=1,
        le=100_000,
        description="Passes over the pictures; fewer with --patience.",
    )
    learning_rate: float = Field(
        1e-3, gt=0, le=100, description="Learning rate of Adam."
    )
    weight_decay: float = Field(
        1e-5, ge=0, le=1, description="Weight decay of Adam."
    )
    flow_steps: Steps = Field(
        8, description="Steps of the flow of each layer, 1 to 64."
    )
    conv3x3_only: bool = Field(
        False,
        description="Convolutions of 3x3 in all steps; default: 3x3 and 1x1 in turn.",
    )
    hidden_ratio: Ratio = Field(
        1.0,
        description="Channels between the two convolutions of a step, as a share of half of the layer's channels.",
    )


class Flows(nn.Module):
    """A flow f of each level; no flow depends on the size of the maps.

    Args:
        channels: C of each level.
        config: steps, kernels and width of the subnets.
    """

    def __init__(self, channels: Sequence[int], config: FastflowConfig) -> None:
        super().__init__()
        self.levels = nn.ModuleList(_flow(c, config) for c in channels)

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Return z of the maps y, (B, C, h, w) each."""
        return [z for z, _ in self.with_jacobians(levels)]

    def with_jacobians(
        self, levels: list[Tensor]
    ) -> list[tuple[Tensor, Tensor]]:
        """Return z (B, C, h, w) and log |det J| (B,) of each level."""
        return [f(y) for f, y in zip(self.levels, levels, strict=True)]


class Fastflow(
    TrainedPipeline[FastflowConfig, FastflowOptions],
    BackbonePipeline[FastflowConfig, FastflowOptions],
):
    """FastFlow: 2D normalising flows on features (Yu et al. 2021)."""

    name = "fastflow"
    config_class = FastflowConfig
    options_class = FastflowOptions
    networks = ("extractor", "flows")
    trained = ("norms", "flows")
    default_backbone = "resnet18"
    default_strides: ClassVar[tuple[int, ...]] = (4, 8, 16)
    final_norm = None

    extractor: FeatureExtractor
    flows: Flows
    norms: nn.ModuleList
    to_map: nn.ModuleList

    def __init__(
        self,
        config: FastflowConfig,
        extractor: FeatureExtractor,
        flows: Flows,
    ) -> None:
        super().__init__(config, extractor=extractor, flows=flows)
        grids = map_sizes(extractor, config.size)
        norms: list[nn.Module] = [nn.Identity() for _ in grids]
        if config.has_norm:
            shapes = zip(extractor.channels, grids, strict=True)
            norms = [MapNorm(c, *grid) for c, grid in shapes]
        self.norms = nn.ModuleList(norms).requires_grad_(False)
        self.to_map = nn.ModuleList(
            LinearResample2d(*map(bilinear, grid, config.size))
            for grid in grids
        )

    @classmethod
    def build_networks(
        cls, config: FastflowConfig, backbone: nn.Module | None = None
    ) -> dict[str, nn.Module]:
        """Return extractor and flows without trained weights."""
        extractor = cls.empty_extractor(config, backbone)
        flows = Flows(extractor.channels, config)
        return {"extractor": extractor, "flows": flows}

    @classmethod
    def create(cls, data: FitData, options: FastflowOptions) -> Fastflow:
        """Return a pretrained backbone with random flows.

        Raises:
            InputError: subnets without a channel.
        """
        extractor = cls.build_extractor(data, options)
        _refuse_narrow_subnets(extractor, options.hidden_ratio)
        config = FastflowConfig.of(
            extractor,
            data.size,
            flow_steps=options.flow_steps,
            conv3x3_only=options.conv3x3_only,
            hidden_ratio=options.hidden_ratio,
            has_norm=not _is_transformer(options.backbone),
        )
        return cls(config, extractor, Flows(extractor.channels, config))

    def optimiser(self, options: FastflowOptions) -> Adam:
        """Return Adam."""
        return Adam(
            self.trained_parameters(),
            lr=options.learning_rate,
            weight_decay=options.weight_decay,
        )

    def loss(self, images: Tensor) -> Tensor:
        """Return the mean over images of the negative log-likelihood; flows are in float32 with mixed precision, too."""
        y = self.normalised(self.extractor(self.scaled(images)))
        losses = [
            z.square().flatten(1).sum(dim=1) / 2 - log_jacobian
            for z, log_jacobian in self.flows.with_jacobians(y)
        ]
        return torch.stack(losses).sum(dim=0).mean()

    def normalised(self, features: dict[str, Tensor]) -> list[Tensor]:
        """Return y of each level, (B, C, h, w)."""
        levels = zip(self.norms, features.values(), strict=True)
        return [norm(x) for norm, x in levels]

    def mean_likelihood(self, likelihoods: list[Tensor]) -> Tensor:
        """Return the mean over levels of the upsampled likelihoods (B, 1, h, w), (B, 1, H, W)."""
        levels = zip(self.to_map, likelihoods, strict=True)
        large = [upsample(p) for upsample, p in levels]
        return torch.cat(large, dim=1).mean(dim=1, keepdim=True)

    def stages(self, images: Tensor) -> dict[str, Tensor]:
        """Return `features/...` of backbone and flows, `likelihood/<layer>`, `anomaly_map` and `score`."""
        features = self.extractor(self.scaled(images))
        latent = self.flows(self.normalised(features))
        likelihoods = [
            torch.exp(-z.square().mean(dim=1, keepdim=True) / 2) for z in latent
        ]
        anomaly_map = -self.mean_likelihood(likelihoods)
        layers = self.config.layers
        return {
            **{f"features/backbone/{k}": x for k, x in features.items()},
            **_named("features/flow", layers, latent),
            **_named("likelihood", layers, likelihoods),
            "anomaly_map": anomaly_map,
            "score": anomaly_map.flatten(1).amax(dim=1),
        }

    @classmethod
    def _default_layers(cls, backbone: str) -> Sequence[str]:
        """Return the layers at the default strides, of a transformer the one at two thirds of the depth."""
        if not has_one_stride(backbone):
            return super()._default_layers(backbone)
        names = [str(info["module"]) for info in feature_info(backbone)]
        return [names[max(0, round(len(names) * 2 / 3) - 1)]]


def _flow(channels: int, config: FastflowConfig) -> SequenceINN:
    """Return the K steps of a level."""
    flow = SequenceINN(channels, 1, 1)
    for step in range(config.flow_steps):
        is_small = step % 2 == 1 and not config.conv3x3_only
        subnet = _Subnet(1 if is_small else 3, config.hidden_ratio)
        flow.append(
            SelectingBlock,
            subnet_constructor=subnet,
            affine_clamping=_CLAMPING,
        )
    return flow


class _Subnet:
    """Constructor of a subnet with kernels of one size.

    Args:
        kernel: side of the kernels.
        ratio: channels between the convolutions, as a share of the input's.
    """

    def __init__(self, kernel: int, ratio: float) -> None:
        self.kernel, self.ratio = kernel, ratio

    def __call__(self, channels_in: int, channels_out: int) -> nn.Module:
        """Return two convolutions with a ReLU between."""
        hidden = int(channels_in * self.ratio)
        padding = self.kernel // 2
        return nn.Sequential(
            nn.Conv2d(channels_in, hidden, self.kernel, padding=padding),
            nn.ReLU(),
            nn.Conv2d(hidden, channels_out, self.kernel, padding=padding),
        )


def _is_transformer(backbone: str | nn.Module | None) -> bool:
    """Return whether a backbone has a final norm of its own; a module has none."""
    name = backbone or Fastflow.default_backbone
    return isinstance(name, str) and has_one_stride(name)


def _named(
    kind: str, layers: Sequence[str], tensors: Sequence[Tensor]
) -> dict[str, Tensor]:
    pairs = zip(layers, tensors, strict=True)
    return {f"{kind}/{layer}": tensor for layer, tensor in pairs}


def _refuse_narrow_subnets(extractor: FeatureExtractor, ratio: float) -> None:
    halves = [c - c // 2 for c in extractor.channels]
    if min(halves) * ratio < 1:
        # Rounded up: the number that is advised must be accepted.
        least = math.ceil(1000 / min(halves)) / 1000
        raise InputError(
            f"got --hidden-ratio {ratio:g} with {min(extractor.channels)} channels in a layer, which leaves no channel in "
            f"a subnet; expected one at least: give --hidden-ratio {least:g} or more"
        )
