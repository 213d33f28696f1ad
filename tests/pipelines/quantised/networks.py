"""Small networks as graphs of torch.fx, and detectors of few pictures, to quantise."""

import numpy as np
import torch
from torch import nn

from anomedge.images import Picture
from anomedge.pipelines import Config
from anomedge.pipelines.folded_networks import folded_networks
from anomedge.pipelines.model import Card, Model
from anomedge.resample import Geometry
from anomedge.threshold import Decision, Origin
from tests.pipelines.brightness import Brightness

GEOMETRY = Geometry((8, 8))


class Branches(nn.Module):
    """Two convolutions of one value, one of them without bias, and a linear layer behind them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.left = nn.Conv2d(3, 4, 3, padding=1)
        self.right = nn.Conv2d(3, 4, 1, bias=False)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        both = self.left(x).relu() + self.right(x)
        return self.head(both.movedim(1, -1)).movedim(-1, 1)


def graph_of(network):
    """The folded graph of a network of images (B, 3, 8, 8)."""
    pipeline = Brightness(Config(size=(8, 8)), net=network)
    return folded_networks(pipeline, GEOMETRY, None)["net"]


def pictures(count=6, size=(8, 8), spot=0):
    """Grey pictures with noise; those with a spot are anomalous."""
    generator = np.random.default_rng(0)
    made = []
    for number in range(count):
        pixels = generator.integers(120, 137, (*size, 3)).astype(np.uint8)
        pixels[:3, :3] += np.uint8(spot % 256)
        picture = Picture(
            f"{number}.png", pixels=pixels, anomalous=bool(spot) or None
        )
        made.append(picture)
    return made


def model_of(pipeline, geometry=GEOMETRY, fitted=(), threshold=0.06):
    """A model of a detector with a threshold that defects exceed."""
    has_map = getattr(pipeline, "has_map", True)
    decision = Decision(
        threshold=threshold,
        pixel_threshold=threshold if has_map else None,
        minimum=0.0,
        maximum=1.0,
        scale=0.1,
        origin=Origin(
            rule="false-alarm-rate",
            rate=0.01,
            source="held-back",
            normal=6,
            anomalous=0,
            margin=0.1,
            extrapolated=True,
            pictures="",
        ),
    )
    card = Card(
        seed=0, fitted=tuple(fitted), weights="none", tools={}, licence={}
    )
    return Model(pipeline.eval(), geometry, decision, card, digest="f" * 64)
