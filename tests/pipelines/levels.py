"""A backbone of two small layers, for detectors whose statistics matter and not their features."""

import torch
from torch import nn

from anomedge.pipelines import FitData

LAYERS = ("fine", "coarse")
SIZE = (32, 40)


class Levels(nn.Module):
    """`fine` has 4 channels at stride 4, `coarse` 6 at stride 8."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.fine = nn.Conv2d(3, 4, 4, stride=4)
        self.coarse = nn.Conv2d(4, 6, 2, stride=2)

    def forward(self, x):
        return self.coarse(self.fine(x).relu())


def fitted(kind, count=5, inside=None, **options):
    """A detector fitted to noise."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(count, 3, *SIZE, generator=generator)
    data = FitData([images[:2], images[2:]], size=SIZE, inside=inside)
    own = kind.options_class.checked(
        backbone=Levels(), layers=LAYERS, **options
    )
    return kind.fit(data, own), images
