"""Tiny modules of other people, for tests."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIZE = (16, 24)


class Prediction(NamedTuple):
    """Named as in other libraries, with a field that is not needed."""

    pred_score: Tensor
    pred_label: Tensor | None
    anomaly_map: Tensor | None


@dataclass
class Result:
    score: Tensor
    map: Tensor


class Tiny(nn.Module):
    """A convolutional detector; the map is upsampled from a quarter of the size."""

    def __init__(self, mode="bilinear", channels=4):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(3, channels, 3, 2, 1), nn.BatchNorm2d(channels), nn.ReLU()
        )
        self.head = nn.Conv2d(channels, 1, 3, 2, 1)
        self.mode = mode

    def forward(self, images):
        coarse = self.head(self.body(images)).abs() + 0.1
        anomaly_map = F.interpolate(
            coarse, size=images.shape[-2:], mode=self.mode
        )
        return anomaly_map.amax(dim=(1, 2, 3)), anomaly_map


class Student(nn.Module):
    """Distances of two networks with constants that an optimiser with tolerances would drop."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.teacher = nn.Conv2d(3, 4, 3, padding=1)
        self.student = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, images):
        with torch.no_grad():
            images = (images - 3.7e-9) * 1.000004
            pair = [self.teacher(images), self.student(images)]
            known, learnt = (
                x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + 1e-10)
                for x in pair
            )
            distance = (known - learnt).square().sum(dim=1, keepdim=True)
            # Differences as small as the constant decide.
            anomaly_map = torch.sqrt(distance * 1e-10 + 1e-9) * 1e4
            return anomaly_map.flatten(1).amax(dim=1), anomaly_map


class Relative(nn.Module):
    """Scores relative to the largest one of the batch."""

    def forward(self, images):
        anomaly_map = images.mean(dim=1, keepdim=True) + 0.1
        anomaly_map = anomaly_map / anomaly_map.max()
        return anomaly_map.amax(dim=(1, 2, 3)), anomaly_map


class Returning(nn.Module):
    """Return what a function makes of images and their grey values."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, images):
        grey = images.mean(dim=1, keepdim=True)
        return self.function(images, grey)


def scored(grey):
    """Score and map of grey values."""
    return grey.amax(dim=(1, 2, 3)), grey
