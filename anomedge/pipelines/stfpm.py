r"""STFPM: student-teacher feature pyramid matching (Wang et al. 2021, arXiv:2103.04257).

A student S of the architecture of a pretrained teacher T, with random weights, learns the teacher's feature maps of
normal images. At position (i, j) of layer l, with features :math:`F^l_t, F^l_s` (C_l, h_l, w_l) of unit length along
the channels,

.. math::
    \ell^l_{ij} = \tfrac12 \lVert \hat F^l_t - \hat F^l_s \rVert^2_{ij}, \qquad
    \hat F_{ij} = F_{ij} / \lVert F_{ij} \rVert

The loss of an image is the sum over layers of the mean of :math:`\ell^l` over positions. The anomaly map is the product
over layers of :math:`\ell^l`, upsampled bilinearly to the image; the score is the maximum of the map. The product of
three small numbers may be 1e-9, and is still exact to float32's relative precision.

Defaults are the paper's: resnet18, layers of strides 4, 8 and 16, SGD of learning rate 0.4 and momentum 0.9, 100 epochs
of batches of 32; the weight decay 1e-4 is that of the published code, whose loss lacks the factor 1/2. anomalib 2.7 adds
the losses of a batch of B images, where the mean is taken here, and has the weight decay 1e-3: its steps are those of
`--learning-rate` 0.4 B and `--weight-decay` 0.001 / B.
"""

from __future__ import annotations

import copy
from functools import reduce
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import SGD

from anomedge.components import FeatureExtractor, LinearResample2d
from anomedge.components.unit_length import unit_length
from anomedge.pipelines.data import FitData
from anomedge.pipelines.features import (
    BackboneConfig,
    BackboneOptions,
    BackbonePipeline,
)
from anomedge.pipelines.maps import map_sizes
from anomedge.pipelines.training import TrainedPipeline, TrainOptions
from anomedge.resample import bilinear

__all__ = ["Stfpm", "StfpmConfig", "StfpmOptions"]

Backbone = str | nn.Module | None


class StfpmConfig(BackboneConfig):
    """Configuration of STFPM."""


class StfpmOptions(BackboneOptions, TrainOptions):
    """Fit options of STFPM."""

    learning_rate: float = Field(
        0.4, gt=0, le=100, description="Learning rate of SGD."
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of SGD.")
    weight_decay: float = Field(
        1e-4, ge=0, le=1, description="Weight decay of SGD."
    )


class Stfpm(
    TrainedPipeline[StfpmConfig, StfpmOptions],
    BackbonePipeline[StfpmConfig, StfpmOptions],
):
    """STFPM: a student learns a teacher's features (Wang et al. 2021)."""

    name = "stfpm"
    config_class = StfpmConfig
    options_class = StfpmOptions
    networks = ("teacher", "student")
    trained = ("student",)
    default_backbone = "resnet18"
    default_strides: ClassVar[tuple[int, ...]] = (4, 8, 16)

    teacher: FeatureExtractor
    student: FeatureExtractor
    to_map: nn.ModuleList

    def __init__(
        self,
        config: StfpmConfig,
        teacher: FeatureExtractor,
        student: FeatureExtractor,
    ) -> None:
        super().__init__(config, teacher=teacher, student=student)
        levels = map_sizes(teacher, config.size)
        self.to_map = nn.ModuleList(
            _upsampling(level, config.size) for level in levels
        )

    @classmethod
    def build_networks(
        cls, config: StfpmConfig, backbone: nn.Module | None = None
    ) -> dict[str, nn.Module]:
        """Return teacher and student without trained weights."""
        teacher = cls.empty_extractor(config, backbone)
        student = _student(teacher, config, backbone)
        return {"teacher": teacher, "student": student}

    @classmethod
    def create(cls, data: FitData, options: StfpmOptions) -> Stfpm:
        """Return a pretrained teacher with a random student."""
        teacher = cls.build_extractor(data, options)
        config = StfpmConfig.of(teacher, data.size)
        student = _student(teacher, config, options.backbone)
        return cls(config, teacher, student)

    def optimiser(self, options: StfpmOptions) -> SGD:
        """Return SGD with momentum."""
        return SGD(
            self.trained_parameters(),
            lr=options.learning_rate,
            momentum=options.momentum,
            weight_decay=options.weight_decay,
        )

    def loss(self, images: Tensor) -> Tensor:
        """Return the mean over images of the sum over layers of the mean over positions."""
        levels = self.distances(*self.features(images))
        return torch.stack([level.mean() for level in levels.values()]).sum()

    def features(
        self, images: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the feature maps by layer of teacher and student, of images in [0, 1]."""
        scaled = self.scaled(images)
        return self.teacher(scaled), self.student(scaled)

    def distances(
        self, teacher: dict[str, Tensor], student: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return half of the squared distance of unit features by layer, (B, 1, h_l, w_l)."""
        found = {}
        for layer, features in teacher.items():
            offset = unit_length(features) - unit_length(student[layer])
            found[layer] = offset.square().sum(dim=1, keepdim=True) / 2
        return found

    def product(self, levels: list[Tensor]) -> Tensor:
        """Return the product of all levels, each of them upsampled to the image, (B, 1, H, W)."""
        large = [
            upsample(level)
            for upsample, level in zip(self.to_map, levels, strict=True)
        ]
        anomaly_map: Tensor = reduce(torch.mul, large)
        return anomaly_map

    def stages(self, images: Tensor) -> dict[str, Tensor]:
        """Return `features/...` of both networks, `distances/<layer>`, `anomaly_map` and `score`."""
        teacher, student = self.features(images)
        distances = self.distances(teacher, student)
        anomaly_map = self.product(list(distances.values()))
        return {
            **{f"features/teacher/{k}": v for k, v in teacher.items()},
            **{f"features/student/{k}": v for k, v in student.items()},
            **{f"distances/{k}": v for k, v in distances.items()},
            "anomaly_map": anomaly_map,
            "score": anomaly_map.flatten(1).amax(dim=1),
        }


def _student(
    teacher: FeatureExtractor, config: StfpmConfig, backbone: Backbone
) -> FeatureExtractor:
    """Return a network of the teacher's architecture with random weights."""
    if isinstance(backbone, nn.Module):
        student = copy.deepcopy(teacher)
        student.trainable = True
        for module in student.modules():
            reset: Any = getattr(module, "reset_parameters", None)
            if reset is not None:
                reset()
        return student
    return Stfpm.empty_extractor(config, trainable=True)


def _upsampling(
    grid: tuple[int, int], size: tuple[int, int]
) -> LinearResample2d:
    rows, columns = (
        bilinear(n_in, n_out) for n_in, n_out in zip(grid, size, strict=True)
    )
    return LinearResample2d(rows, columns)
