r"""EfficientAD: a student and an autoencoder of a small teacher (Batzner, Heckler and König 2023, arXiv:2303.14535).

The teacher T is a patch description network (PDN) that was distilled from a large backbone; its C channels are
normalised with the mean and standard deviation of the images trained on. The student S has the same architecture and
2C channels: the first half :math:`S^{ST}` predicts the teacher, the second half :math:`S^{STAE}` predicts the
autoencoder A, which predicts the teacher from a code of the whole image. With squared differences D, (C, h, w),

.. math::
    L = \operatorname{mean}\{d \in D^{ST} : d \ge d_{hard}\} + \operatorname{mean}(S^{ST}(P)^2)
      + \operatorname{mean}(T' - A')^2 + \operatorname{mean}(A' - S'^{STAE})^2

where :math:`d_{hard}` is the 0.999 quantile of :math:`D^{ST} = (T - S^{ST})^2`, P a picture from outside
(`--penalty`; without it the term is left out), and ' marks networks of the image with another brightness, contrast or
saturation. Anomaly maps are the means over channels

.. math::
    M^{ST} = \tfrac1C \sum_c (T - S^{ST})_c^2, \qquad M^{AE} = \tfrac1C \sum_c (A - S^{STAE})_c^2

surrounded by 4 zeros on each side (maps without padding are smaller than the image), and upsampled bilinearly. Their
quantiles :math:`q_a` (0.9) and :math:`q_b` (0.995) over the pixels of normal images give one scale to both:

.. math::
    M = \tfrac12 \sum_{k \in \{ST, AE\}} 0.1\, \frac{M^k - q_a^k}{q_b^k - q_a^k}

The score is the maximum of M. The quantiles are those of the held-out images with `--patience`, else of the images
trained on; anomalib and the paper take other normal images.

Defaults are those of the paper and of anomalib 2.7: the small network, C = 384 (the teacher file decides), no padding,
Adam of learning rate 1e-4, 1e-5 after 95 % of the steps, weight decay 1e-5, steps of one image. The paper makes 70,000
steps; here the length is in epochs, and 300 make as many with 233 pictures. anomalib 2.7 counts epochs where it means
steps, so its learning rate does not fall. With several images per step, each has its own :math:`d_{hard}`. With padding
the maps cover the image and get no zeros; anomalib's get them, also those of imported models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

import numpy as np
import torch
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import StepLR

from anomedge.components import LinearResample2d
from anomedge.components.description_autoencoder import (
    LEAST_SIDE,
    DescriptionAutoencoder,
)
from anomedge.components.estimators.channels import channel_statistics
from anomedge.components.patch_description import (
    MOST_CHANNELS,
    PatchDescriptionNetwork,
    PdnSize,
    description_grid,
)
from anomedge.components.pdn_weights import pretrained_pdn
from anomedge.components.timm_backbones import IMAGENET_SCALING
from anomedge.errors import InputError, ModelError
from anomedge.pipelines.base import Config
from anomedge.pipelines.data import FitData
from anomedge.pipelines.efficient_ad_options import EfficientAdOptions
from anomedge.pipelines.training import TrainedPipeline
from anomedge.pipelines.training.colour import jittered
from anomedge.pipelines.training.outside import OutsidePictures
from anomedge.resample import Geometry, Matrix, bilinear

__all__ = ["EfficientAd", "EfficientAdConfig", "EfficientAdOptions"]

_HARD, _QUANTILES = 0.999, (0.9, 0.995)
_BORDER, _STRIDE = 4, 4
_GREY = 0.3
_MOST_VALUES = 1 << 24


class EfficientAdConfig(Config):
    """Configuration of EfficientAD.

    Attributes:
        model_size: patch description network, "small" or "medium".
        channels: C.
        padding: whether images and maps are padded with zeros in the patch description networks.
        pad_maps: whether the maps are surrounded by 4 zeros on each side.
    """

    model_size: PdnSize = "small"
    channels: Annotated[int, Field(ge=1, le=MOST_CHANNELS)] = 384
    padding: bool = False
    pad_maps: bool = True

    @field_validator("size")
    @classmethod
    def _of_the_autoencoder(cls, size: tuple[int, int]) -> tuple[int, int]:
        if min(size) < LEAST_SIDE:
            least = f"at least {LEAST_SIDE}x{LEAST_SIDE}: give a larger --size (--crop or --tile where given)"
            raise PydanticCustomError("size", least)
        return size

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width (h, w) of outputs of the networks."""
        return description_grid(self.size, padding=self.padding)


class EfficientAd(TrainedPipeline[EfficientAdConfig, EfficientAdOptions]):
    """EfficientAD: a student and an autoencoder learn a small teacher's features (Batzner et al. 2023)."""

    name = "efficient_ad"
    config_class = EfficientAdConfig
    options_class = EfficientAdOptions
    networks = ("teacher", "student", "autoencoder")
    trained = ("student", "autoencoder")
    legal_notice = (
        "EfficientAD was published by authors at MVTec Software GmbH; patents on the method may be granted or pending: "
        "check before commercial use"
    )

    teacher: PatchDescriptionNetwork
    student: PatchDescriptionNetwork
    autoencoder: DescriptionAutoencoder
    mean: Tensor
    std: Tensor
    teacher_mean: Tensor
    teacher_std: Tensor
    quantiles: Tensor

    penalty: OutsidePictures | None = None
    """Pictures from outside, in a training only."""

    def __init__(
        self, config: EfficientAdConfig, **networks: nn.Module
    ) -> None:
        super().__init__(config, **networks)
        column = (1, config.channels, 1, 1)
        for name, values in zip(("mean", "std"), IMAGENET_SCALING, strict=True):
            scaling = torch.tensor(values, device="cpu").reshape(1, 3, 1, 1)
            self.register_buffer(name, scaling, persistent=False)
        self.register_buffer("teacher_mean", torch.zeros(column))
        self.register_buffer("teacher_std", torch.ones(column))
        # Rows: student and teacher, student and autoencoder; columns: q_a and q_b.
        self.register_buffer("quantiles", torch.tensor([[0.0, 1.0]] * 2))
        rows, columns = (
            _to_side(small, large, pad=config.pad_maps)
            for small, large in zip(config.grid, config.size, strict=True)
        )
        self.to_map = LinearResample2d(rows, columns)

    @classmethod
    def build_networks(
        cls, config: EfficientAdConfig, backbone: nn.Module | None = None
    ) -> dict[str, nn.Module]:
        """Return teacher, student and autoencoder with random weights."""
        del backbone
        teacher, student = (
            PatchDescriptionNetwork(
                channels, config.model_size, padding=config.padding
            )
            for channels in (config.channels, 2 * config.channels)
        )
        autoencoder = DescriptionAutoencoder(
            config.channels, config.size, config.grid
        )
        return {
            "teacher": teacher,
            "student": student,
            "autoencoder": autoencoder,
        }

    @classmethod
    def create(cls, data: FitData, options: EfficientAdOptions) -> EfficientAd:
        """Return the file's teacher with a random student and a random autoencoder."""
        teacher = pretrained_pdn(
            options.teacher_file(),
            options.model_size,
            padding=options.padding,
        )
        config = EfficientAdConfig.checked(
            size=data.size,
            model_size=options.model_size,
            channels=teacher.channels,
            padding=options.padding,
            pad_maps=options.pad_maps and not options.padding,
        )
        networks = cls.build_networks(config)
        pipeline = cls(config, **networks | {"teacher": teacher})
        if options.penalty is not None:
            twice = (2 * data.size[0], 2 * data.size[1])
            enlarged = Geometry(twice, data.size)
            outside = OutsidePictures(options.penalty, enlarged, _GREY)
            outside.refuse_shared(data.digests)
            pipeline.penalty = outside
        return pipeline

    def inputs(self) -> dict[str, str]:
        """Return what identifies the pictures from outside."""
        outside = self.penalty
        return {"penalty": outside.described() if outside else "none"}

    @classmethod
    def check_overlap(cls, options: EfficientAdOptions, pixels: int) -> None:
        """Refuse tiles that share so few pixels that the zeros around their maps leave blind bands in the picture.

        Raises:
            InputError: fewer than twice the zeros' 16 pixels, and maps with zeros.
        """
        zeros = _STRIDE * _BORDER
        if options.pad_maps and not options.padding and pixels < 2 * zeros:
            raise InputError(
                f"got tiles that share {pixels} pixels; expected at least {2 * zeros}, because the map is constant on the outer "
                f"{zeros} pixels of each tile: give --overlap {2 * zeros} or --padding"
            )

    def optimiser(self, options: EfficientAdOptions) -> Adam:
        """Return Adam."""
        return Adam(
            self.trained_parameters(),
            lr=options.learning_rate,
            weight_decay=options.weight_decay,
        )

    def schedule(
        self, optimiser: Optimizer, options: EfficientAdOptions, steps: int
    ) -> StepLR:
        """Return a schedule with a tenth of the learning rate after 95 % of the steps."""
        del options
        return StepLR(optimiser, max(1, int(0.95 * steps)), gamma=0.1)

    @torch.no_grad()
    def prepare(self, data: FitData) -> None:
        """Compute mean and standard deviation of each channel of the teacher.

        Raises:
            ModelError: a channel that is not finite, or that does not vary.
        """
        outputs = (self.teacher(self.scaled(images)) for images in data)
        mean, std = channel_statistics(outputs)
        if not bool(torch.isfinite(mean).all() and torch.isfinite(std).all()):
            raise ModelError(
                "got a teacher with channels that are not finite for these images; expected numbers: give another --teacher"
            )
        if not bool((std > 0).all()):
            raise ModelError(
                "got a teacher with channels that are equal for all of these images; expected channels that vary: "
                "give another --teacher"
            )
        self.teacher_mean, self.teacher_std = mean, std

    @torch.no_grad()
    def finish(self, data: FitData) -> None:
        """Compute the quantiles of both maps, over the pixels of all images.

        Raises:
            ModelError: maps that do not vary.
        """
        distances = torch.cat(
            [self.distances(self.features(images)) for images in data]
        )
        values = self._pixels(distances, data.generator())
        quantiles = np.quantile(values.numpy(), _QUANTILES, axis=1).T
        if not (quantiles[:, 0] < quantiles[:, 1]).all():
            raise ModelError(
                "got maps that are equal everywhere; expected maps that vary: train longer, or give other pictures"
            )
        self.quantiles = torch.from_numpy(quantiles).to(self.quantiles)
        self.penalty = None

    def loss(self, images: Tensor) -> Tensor:
        """Return the mean loss; that of held-out images lacks the penalty and the changes of colour."""
        in_training = self.student.training
        scaled = self.scaled(images)
        teacher = self.normalised(self.teacher(scaled))
        of_teacher, _ = self.student(scaled).chunk(2, dim=1)
        loss = _mean_of_hard((teacher - of_teacher).square())
        changed = self.scaled(jittered(images)) if in_training else scaled
        loss = loss + self._loss_of_autoencoder(changed)
        if self.penalty is None or not in_training:
            return loss
        outside = self.penalty.drawn(len(images)).to(images)
        of_teacher, _ = self.student(self.scaled(outside)).chunk(2, dim=1)
        penalty: Tensor = of_teacher.square().mean()
        return loss + penalty

    def _loss_of_autoencoder(self, scaled: Tensor) -> Tensor:
        teacher = self.normalised(self.teacher(scaled))
        autoencoder = self.autoencoder(scaled)
        _, of_autoencoder = self.student(scaled).chunk(2, dim=1)
        pairs = (teacher, autoencoder), (autoencoder, of_autoencoder)
        return torch.stack([(x - y).square().mean() for x, y in pairs]).sum()

    def features(self, images: Tensor) -> dict[str, Tensor]:
        """Return the outputs of teacher, student and autoencoder, of images in [0, 1]."""
        scaled = self.scaled(images)
        return {
            name: self.get_submodule(name)(scaled) for name in self.networks
        }

    def scaled(self, images: Tensor) -> Tensor:
        """Return images in [0, 1] as the networks take them."""
        return (images - self.mean) / self.std

    def normalised(self, teacher: Tensor) -> Tensor:
        """Return the teacher's channels with mean 0 and standard deviation 1 on the images trained on."""
        return (teacher - self.teacher_mean) / self.teacher_std

    def distances(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the mean squared differences of student and teacher, and of student and autoencoder, (B, 2, h, w)."""
        of_teacher, of_autoencoder = features["student"].chunk(2, dim=1)
        pairs = (
            (self.normalised(features["teacher"]), of_teacher),
            (features["autoencoder"], of_autoencoder),
        )
        means = [(x - y).square().mean(dim=1, keepdim=True) for x, y in pairs]
        return torch.cat(means, dim=1)

    def combined(self, distances: Tensor) -> Tensor:
        """Return the anomaly map M of distances (B, 2, h, w): their weighted sum, upsampled, minus an offset, (B, 1, H, W).

        Normalising each upsampled map would be the same, at twice the cost; OpenVINO 2026.4 does not compile it.
        """
        low, high = self.quantiles.unbind(dim=1)
        weights = 0.05 / (high - low)
        weighted = distances * weights.reshape(1, 2, 1, 1)
        upsampled: Tensor = self.to_map(weighted.sum(dim=1, keepdim=True))
        return upsampled - (weights * low).sum()

    def stages(self, images: Tensor) -> dict[str, Tensor]:
        """Return `features/...` of the networks, `distances` (B, 2, h, w), `anomaly_map` and `score`."""
        features = self.features(images)
        distances = self.distances(features)
        anomaly_map = self.combined(distances)
        return {
            **{f"features/{name}": x for name, x in features.items()},
            "distances": distances,
            "anomaly_map": anomaly_map,
            "score": anomaly_map.flatten(1).amax(dim=1),
        }

    def _pixels(self, distances: Tensor, generator: torch.Generator) -> Tensor:
        """Return the pixels of both maps of all images, (2, M); of each image some at random where these are too many."""
        height, width = self.config.size
        most = max(1, _MOST_VALUES // len(distances))
        found = []
        for each in distances:
            pixels = self.to_map(each[None])[0].flatten(1)
            if most < height * width:
                order = torch.randperm(height * width, generator=generator)
                pixels = pixels[:, order[:most]]
            found.append(pixels)
        return torch.cat(found, dim=1)


def _mean_of_hard(distances: Tensor) -> Tensor:
    """Return the mean of the values of each image that are at least its 0.999 quantile, (B, C, h, w) to a scalar."""
    values = distances.flatten(1)
    count = values.shape[1]
    hard = count - math.ceil(_HARD * (count - 1))
    return values.topk(hard, dim=1).values.mean()


def _to_side(small: int, large: int, *, pad: bool) -> Matrix:
    """Return the matrix that upsamples a side of a map; zeros around the map are left out of it."""
    if not pad:
        return bilinear(small, large)
    return bilinear(small + 2 * _BORDER, large)[:, _BORDER:-_BORDER]
