"""Pictures from outside of the data to train on, in random order."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from pathlib import Path

import torch
from torch import Tensor

from anomedge.errors import InputError
from anomedge.images import Picture, check_picture, list_pictures
from anomedge.images.checks import bits_per_channel
from anomedge.images.reading import open_picture
from anomedge.pipelines.data import image_of
from anomedge.pipelines.splitting import refuse_unreadable
from anomedge.pipelines.training.colour import grey_of
from anomedge.progress import track
from anomedge.resample import Geometry

__all__ = ["OutsidePictures"]

_BITS = 8


class OutsidePictures:
    """Pictures of any folder, as images; all of them are checked at once, because the training may take hours.

    Args:
        folder: the folder; subfolders are read too.
        geometry: how pictures become images.
        grey: probability of a grey image.

    Raises:
        InputError: no folder, no picture in it, an unreadable subfolder, or pictures that cannot be read; all are named.
    """

    def __init__(self, folder: Path, geometry: Geometry, grey: float) -> None:
        self.pictures = [
            Picture(path.relative_to(folder).as_posix(), path)
            for path in list_pictures(folder)
        ]
        refuse_unreadable(self.pictures, _check)
        self.geometry = geometry
        self.grey = grey

    def refuse_shared(self, digests: Collection[str]) -> None:
        """Refuse pictures of the fit, by the SHA-256 of their files.

        Raises:
            InputError: some pictures from outside are those of the fit.
        """
        shared = [p.name for p in self.pictures if p.digest in digests]
        if shared:
            raise InputError(
                f"got {len(shared)} pictures from outside that the fit has as well, {shared[0]} first; expected others, "
                f"because the student learns zeros on them: give another --penalty folder"
            )

    def described(self) -> str:
        """Return the number of pictures, and a SHA-256 of their names in the folder and of their contents."""
        digest = hashlib.sha256()
        count = len(self.pictures)
        title = "reading pictures from outside"
        for picture in track(self.pictures, title, total=count):
            name = os.fsencode(picture.name)
            digest.update(name + f"\0{picture.digest}\0".encode())
        return f"{count} pictures, SHA-256 {digest.hexdigest()}"

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


def _check(picture: Picture) -> None:
    """Refuse a picture that cannot be used; `--levels` of a fit are not for these."""
    path = picture.path
    if path is None:
        return
    with open_picture(path, header=True) as (image, file):
        bits = bits_per_channel(image, file)
    if bits > _BITS:
        raise InputError(
            f"{path}: got {bits} bits a channel; expected {_BITS}, because pictures of --penalty and of distil have no "
            f"--levels: convert them"
        )
    check_picture(path)
