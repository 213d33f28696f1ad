"""A detector without an anomaly map: distance of a picture's mean colour to that of normal pictures."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anomedge.pipelines import Config, Options, Pipeline
from anomedge.pipelines.data import FitData

__all__ = ["MeanColour"]


class MeanColour(Pipeline[Config, Options]):
    """Distance of a picture's mean colour to that of normal pictures."""

    name = "mean-colour"
    config_class = Config
    options_class = Options

    center: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.register_buffer("center", torch.zeros(3))

    @classmethod
    def build_networks(
        cls, config: Config, backbone: nn.Module | None = None
    ) -> dict[str, nn.Module]:
        """Return no network: colours need none."""
        del config, backbone
        return {}

    @classmethod
    def fit(cls, data: FitData, options: Options) -> MeanColour:
        """Fit in one pass over the normal images."""
        del options
        pipeline = cls(Config(size=data.size)).eval()
        colours = [images.double().mean(dim=(2, 3)) for images in data]
        pipeline.center.copy_(torch.cat(colours).mean(dim=0))
        return pipeline

    def stages(self, images: Tensor) -> dict[str, Tensor]:
        """Return `colour` (B, 3) and `score` (B,); no `anomaly_map`, so there is no map."""
        # Two short sums have less rounding error than one long sum.
        colour = images.mean(dim=3).mean(dim=2)
        offset = colour - self.center
        return {
            "colour": colour,
            "score": offset.square().sum(dim=1).sqrt(),
        }
