"""Pictures from outside of the data to train on, in random order."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from anomedge.images import Picture, list_pictures
from anomedge.pipelines.data import image_of
from anomedge.pipelines.training.colour import grey_of
from anomedge.resample import Geometry

__all__ = ["OutsidePictures"]


class OutsidePictures:
    """Pictures of any folder, as images.

    Args:
        folder: the folder; subfolders are read too.
        geometry: how pictures become images.
        grey: probability of a grey image.

    Raises:
        InputError: no folder, no picture in it, or an unreadable subfolder.
    """

    def __init__(self, folder: Path, geometry: Geometry, grey: float) -> None:
        self.pictures = [
            Picture(path.name, path) for path in list_pictures(folder)
        ]
        self.geometry = geometry
        self.grey = grey

    def drawn(self, count: int) -> Tensor:
        """Return images (count, 3, H, W) of pictures at random, from torch's global generator.

        Raises:
            InputError: a picture that cannot be read.
        """
        places = torch.randint(len(self.pictures), (count,)).tolist()
        images = torch.cat(
            [image_of(self.pictures[i], self.geometry) for i in places]
        )
        is_grey = torch.rand(count, 1, 1, 1) < self.grey
        return torch.where(is_grey, grey_of(images), images)
