"""A trained detector: the error of an autoencoder that has seen normal images only.

A network encodes an image x to 8 channels at a quarter of its size and decodes
it to x'. The anomaly of a pixel is the mean over colours of (x - x')^2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anomedge.pipelines import Config, FitData
from anomedge.pipelines.training import TrainedPipeline, TrainOptions

__all__ = ["Autoencoder"]


class Autoencoder(TrainedPipeline[Config, TrainOptions]):
    """Error of an autoencoder of normal images."""

    name = "autoencoder"
    config_class = Config
    options_class = TrainOptions
    networks = ("network",)
    trained = ("network",)

    network: nn.Module

    @classmethod
    def build_networks(
        cls, config: Config, backbone: nn.Module | None = None
    ) -> dict[str, nn.Module]:
        """Return the network with random weights."""
        del config, backbone
        encoder = nn.Conv2d(3, 8, kernel_size=4, stride=4)
        decoder = nn.ConvTranspose2d(8, 3, kernel_size=4, stride=4)
        return {"network": nn.Sequential(encoder, nn.ReLU(), decoder)}

    @classmethod
    def create(cls, data: FitData, options: TrainOptions) -> Autoencoder:
        """Return the untrained detector."""
        del options
        config = Config(size=data.size)
        return cls(config, **cls.build_networks(config))

    def optimiser(self, options: TrainOptions) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(
            self.trained_parameters(),
            lr=options.learning_rate,
            weight_decay=options.weight_decay,
        )

    def errors(self, images: Tensor) -> Tensor:
        """Return the error of each pixel, (B, 1, H, W)."""
        offset = images - self.network(images)
        return offset.square().mean(dim=1, keepdim=True)

    def loss(self, images: Tensor) -> Tensor:
        """Return the mean error."""
        return self.errors(images).mean()

    def stages(self, images: Tensor) -> dict[str, Tensor]:
        """Return `anomaly_map` and `score`."""
        anomaly_map = self.errors(images)
        return {
            "anomaly_map": anomaly_map,
            "score": anomaly_map.flatten(1).amax(dim=1),
        }
