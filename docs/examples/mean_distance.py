"""A detector: distance of each patch to the mean feature of normal images.

The feature map of one layer gives patches x_p. The anomaly of a patch is
|x_p - mu|, with mu the mean over all patches of all normal images.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from anomedge.components import FeatureExtractor
from anomedge.pipelines.data import FitData
from anomedge.pipelines.features import (
    FeatureConfig,
    FeatureOptions,
    FeaturePipeline,
)
from anomedge.pipelines.maps import map_resampling, map_sizes

__all__ = ["MeanDistance"]


class MeanDistance(FeaturePipeline[FeatureConfig, FeatureOptions]):
    """Distance of each patch to the mean feature of normal images."""

    name = "mean-distance"
    config_class = FeatureConfig
    options_class = FeatureOptions
    default_backbone = "resnet18"
    default_strides: ClassVar[tuple[int, ...]] = (8,)

    center: Tensor

    def __init__(
        self, config: FeatureConfig, extractor: FeatureExtractor
    ) -> None:
        super().__init__(config, extractor)
        grid = map_sizes(extractor, config.size)[0]
        self.register_buffer("center", torch.zeros(extractor.channels[0]))
        self.to_map = map_resampling(grid, config.size, config.sigma)

    @classmethod
    def fit(cls, data: FitData, options: FeatureOptions) -> MeanDistance:
        """Fit in one pass over the normal images."""
        extractor = cls.build_extractor(data, options)
        config = FeatureConfig.of(extractor, data.size, sigma=options.sigma)
        pipeline = cls(config, extractor).eval()
        total = torch.zeros_like(pipeline.center, dtype=torch.float64)
        count = 0
        with torch.no_grad():
            for images in data:
                patches = pipeline.patches(images)
                total += patches.double().sum(dim=(0, 2, 3))
                count += patches[:, 0].numel()
        pipeline.center.copy_(total / count)
        return pipeline

    def patches(self, images: Tensor) -> Tensor:
        """Return the feature map (B, C, h, w) of the first layer."""
        return self.features(images)[self.config.layers[0]]

    def stages(self, images: Tensor) -> dict[str, Tensor]:
        """Return `features/<layer>`, `distances`, `anomaly_map` and `score`."""
        patches = self.patches(images)
        offset = patches - self.center[None, :, None, None]
        distances = offset.square().sum(dim=1, keepdim=True).sqrt()
        anomaly_map = self.to_map(distances)
        return {
            f"features/{self.config.layers[0]}": patches,
            "distances": distances,
            "anomaly_map": anomaly_map,
            "score": anomaly_map.flatten(1).amax(dim=1),
        }
