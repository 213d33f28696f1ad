r"""Distil a backbone into a patch description network, as EfficientAD's teachers are made (arXiv:2303.14535, appendix).

A picture x of twice the size gives the features F of two layers of the backbone, smoothed over 3x3 and upsampled to the
finer grid, with neighbouring channels averaged where there are more than C = 384. The network, padded, learns them
from the picture of half the size,

.. math:: L = \operatorname{mean}\big(N(x_{1/2}) - (F(x) - \mu) / \sigma\big)^2

with the mean and standard deviation of each channel over up to 10,000 pictures. Defaults are the paper's: 60,000 steps
of 16 pictures, a tenth of them grey, at 512x512 for the backbone; Adam of learning rate 1e-4 and weight decay 1e-5;
WideResNet-101, layers of strides 8 and 16. The paper takes ImageNet's pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor
from torch.optim import Adam

from anomedge.components import FeatureExtractor
from anomedge.components.estimators.channels import channel_statistics
from anomedge.components.patch_description import (
    PatchDescriptionNetwork,
    PdnSize,
)
from anomedge.components.timm_backbones import IMAGENET_SCALING
from anomedge.errors import ModelError
from anomedge.pipelines.data import FitData
from anomedge.pipelines.features import (
    BackboneConfig,
    BackboneOptions,
    BackbonePipeline,
)
from anomedge.pipelines.training.images import derived_seed
from anomedge.pipelines.training.outside import OutsidePictures
from anomedge.pipelines.training.processor import (
    ProcessorName,
    processor_of,
)
from anomedge.pipelines.training.teacher_record import TeacherRecord
from anomedge.progress import steps_shown
from anomedge.resample import Geometry

__all__ = ["DistilOptions", "distilled"]

Size = tuple[int, int]
Target = Callable[[Tensor], Tensor]

_CHANNELS = 384
_GREY = 0.1
_MOST_MEASURED = 10_000
_LAST = 100


class DistilOptions(BackboneOptions):
    """Options of a distillation."""

    model_size: PdnSize = "small"
    size: Size = (256, 256)
    steps: int = Field(60_000, ge=1, le=10_000_000)
    batch: int = Field(16, ge=1, le=4096)
    learning_rate: float = Field(1e-4, gt=0, le=100)
    weight_decay: float = Field(1e-5, ge=0, le=1)
    seed: int = Field(0, ge=0, lt=2**63)
    device: ProcessorName = "cpu"

    def record(self) -> TeacherRecord:
        """Return what the teacher's file says about it."""
        backbone = self.backbone or _Source.default_backbone
        named = isinstance(backbone, str)
        return TeacherRecord(
            backbone=backbone if named else type(backbone).__name__,
            weights=self.weights_name(),
            weights_licence=self.weights_licence(),
            steps=self.steps,
            seed=self.seed,
        )


class _Source(BackbonePipeline[BackboneConfig, BackboneOptions]):
    """Defaults of the backbone; there is no such detector."""

    name = "distil"
    default_backbone = "wide_resnet101_2"
    default_strides = (8, 16)


def distilled(
    folder: Path, options: DistilOptions
) -> tuple[PatchDescriptionNetwork, float]:
    """Return a network that learned a backbone's features on the pictures of a folder, and its mean loss in the last 100 steps.

    Equal pictures, options and seed give equal weights on one machine.

    Raises:
        DeviceMismatch: a GPU that cannot be used.
        InputError: no pictures, pictures that cannot be read, or options that do not suit each other.
        ModelError: a backbone that cannot be used, features that do not vary, or a loss that is not finite.
    """
    processor_of(options.device)
    height, width = options.size
    large = (2 * height, 2 * width)
    pictures = OutsidePictures(folder, Geometry(large), _GREY)
    extractor = _Source.build_extractor(
        FitData([], size=large, seed=options.seed), options
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(options.seed, "distillation"))
        return _Distillation(pictures, extractor, options).run()


class _Distillation:
    """One distillation."""

    def __init__(
        self,
        pictures: OutsidePictures,
        extractor: FeatureExtractor,
        options: DistilOptions,
    ) -> None:
        self.pictures, self.options = pictures, options
        self.device = processor_of(options.device)
        self.extractor = extractor.eval().to(self.device)
        self.scaling = self._columns(extractor.mean, extractor.std)
        channels = min(_CHANNELS, sum(extractor.channels))
        self.network = PatchDescriptionNetwork(
            channels, options.model_size, padding=True
        ).to(self.device)

    def run(self) -> tuple[PatchDescriptionNetwork, float]:
        """Return the network and its mean loss in the last 100 steps."""
        mean, std = channel_statistics(self._measured())
        _refuse_constant(std)
        mean, std = mean.to(self.device), std.to(self.device)
        optimiser = Adam(
            self.network.parameters(),
            lr=self.options.learning_rate,
            weight_decay=self.options.weight_decay,
        )
        small_mean, small_std = self._columns(*IMAGENET_SCALING)
        losses: list[float] = []
        with steps_shown("distilling", self.options.steps, 0) as say:
            for step in range(1, self.options.steps + 1):
                images = self._drawn()
                target = (self._features(images) - mean) / std
                small = F.avg_pool2d(images, kernel_size=2)
                found = self.network((small - small_mean) / small_std)
                error = (found - target).square().mean()
                optimiser.zero_grad()
                error.backward()
                optimiser.step()
                losses.append(_finite(error.item(), step))
                say(step, f"step {step}, loss {losses[-1]:.4g}")
        return self.network.cpu().eval(), fmean(losses[-_LAST:])

    def _measured(self) -> Iterator[Tensor]:
        pictures = min(_MOST_MEASURED, len(self.pictures.pictures))
        for _ in range(-(-pictures // self.options.batch)):
            yield self._features(self._drawn()).cpu()

    def _drawn(self) -> Tensor:
        return self.pictures.drawn(self.options.batch).to(self.device)

    @torch.no_grad()
    def _features(self, images: Tensor) -> Tensor:
        """Return the backbone's features (B, C, h, w), of images of twice the size."""
        mean, std = self.scaling
        maps = list(self.extractor((images - mean) / std).values())
        levels = [F.avg_pool2d(x, 3, stride=1, padding=1) for x in maps]
        height, width = self.options.size
        # The grid of the network, rounded up.
        grid = (-(-height // 4), -(-width // 4))
        same = [F.interpolate(x, size=grid, mode="bilinear") for x in levels]
        return _averaged(torch.cat(same, dim=1), self.network.channels)

    def _columns(self, *triples: tuple[float, ...]) -> list[Tensor]:
        return [
            torch.tensor(values, device=self.device).reshape(3, 1, 1)
            for values in triples
        ]


def _refuse_constant(std: Tensor) -> None:
    """Refuse features of which some channels do not vary: their scale would be 0."""
    constant = int((std <= 0).sum())
    if constant:
        raise ModelError(
            f"got features of which {constant} of {std.numel()} channels are equal for all pictures; expected channels that "
            f"vary: give more pictures of other kinds, other --layers, or another --backbone"
        )


def _averaged(features: Tensor, channels: int) -> Tensor:
    """Average neighbouring channels, (B, D, h, w) to (B, C, h, w)."""
    last = features.movedim(1, -1).flatten(1, 2)
    fewer = F.adaptive_avg_pool1d(last, channels)
    return fewer.mT.reshape(len(features), channels, *features.shape[2:])


def _finite(loss: float, step: int) -> float:
    if not math.isfinite(loss):
        raise ModelError(
            f"got a loss of {loss:g} in step {step}; expected a finite one: distil again with a smaller --learning-rate"
        )
    return loss
