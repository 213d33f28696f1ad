"""Backbones to be halved: of timm, and one that is hard to fold."""

from dataclasses import replace

import torch
from torch import nn

from anomedge.components import FeatureExtractor

BACKBONES = {
    "test_resnet": ["layer1", "layer2"],
    "test_convnext": ["stages.0", "stages.1"],
    "test_convnext2": ["stages.0", "stages.1"],
    "test_efficientnet": ["blocks.1", "blocks.2"],
    "mobilenetv3_small_050": ["blocks.1", "blocks.3"],
}


class Awkward(nn.Module):
    """A normalisation of the input, one convolution for two normalisations, a mean over the whole image."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = (
            nn.BatchNorm2d(3),
            nn.BatchNorm2d(3),
            nn.BatchNorm2d(3, affine=False),
        )
        self.conv, self.last = (
            nn.Conv2d(3, 3, 3, padding=1),
            nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        )
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x):
        x = self.first(x)
        x = self.second(self.conv(x)) + self.third(self.conv(x))
        x = torch.relu_(self.norm(self.last(x)))
        return x * x.mean((2, 3), keepdim=True).sigmoid()


def seeded(module):
    """Batch statistics that are not those of a module just made."""
    generator = torch.Generator().manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1, generator=generator)
            part.running_var.uniform_(0.5, 2, generator=generator)
    return module.eval().requires_grad_(False)


def extractor_of(name):
    torch.manual_seed(0)
    return seeded(FeatureExtractor(name, BACKBONES[name], pre_trained=False))


class Whole(nn.Module):
    """An extractor of all of `Awkward`."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner = Awkward()
        seeded(self)

    def forward(self, x):
        return {"all": self.inner(x)}


def on(model, extractor):
    """The model on another backbone: enough of one for what looks at the backbone alone."""
    return replace(model, pipeline=model.pipeline.with_extractor(extractor))
