"""Data of a fit: batches of images that can be iterated any number of times."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from anomedge.errors import InputError
from anomedge.images import Picture
from anomedge.pipelines.preprocessing import to_images
from anomedge.progress import track
from anomedge.resample import Geometry

__all__ = [
    "FitData",
    "LabelledBatches",
    "PictureBatches",
    "selected",
    "without_rows",
]

Labelled = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class FitData:
    """Images that a detector is fitted to.

    Iterating it yields the batches of normal images, in the same order each time: one pass for statistics, one pass
    per epoch for training.

    Args:
        normal: batches of normal images, float (B, 3, H, W) in [0, 1]; re-iterable, so no iterator or generator.
        size: height and width of the images.
        seed: seed of all random choices of the fit.
        labelled: batches (images, anomalous), anomalous being bool (B,); empty without labelled pictures. They also
            place the threshold: use them to choose between fits, never to train.
        inside: bool (H, W), True for the pixels of the region of interest; None: all of them.
        state: file in which a trained detector stores its training after each epoch; None: nowhere.
        restart: replace a stored training when the first epoch of this one is finished.
        fold: name of the fold that is left out, such as "fold 1 of 5", for progress displays; empty: none.
        digests: SHA-256 of the files of all pictures of the fit, those of the threshold as well.

    Raises:
        InputError: an iterator, which can be iterated only once.

    >>> data = FitData([torch.zeros(2, 3, 8, 8)], size=(8, 8))
    >>> sum(len(images) for _ in range(3) for images in data)
    6
    """

    normal: Iterable[Tensor]
    size: tuple[int, int]
    seed: int = 0
    labelled: Iterable[Labelled] = ()
    inside: Tensor | None = None
    state: Path | None = None
    restart: bool = False
    fold: str = ""
    digests: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for batches in (self.normal, self.labelled):
            if isinstance(batches, Iterator):
                raise InputError(
                    f"got {type(batches).__name__} as batches, which can be iterated once; "
                    f"expected a re-iterable such as a list"
                )

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.normal)

    def part(self, images: Collection[int]) -> FitData:
        """Return the data with some of the normal images, by their places in the order of iteration.

        >>> data = FitData([torch.zeros(2, 3, 8, 8), torch.ones(2, 3, 8, 8)], size=(8, 8))
        >>> [len(images) for images in data.part([0, 1, 3])]
        [2, 1]
        """
        return replace(self, normal=selected(self.normal, images))

    def without_fold(
        self, folds: Sequence[Collection[int]], number: int
    ) -> FitData:
        """Return the data without the images of one fold; progress displays name that fold.

        Args:
            folds: places of each fold's images; every image is in one fold.
            number: the fold, from 0.
        """
        name = fold_name(number, len(folds))
        images = {place for fold in folds for place in fold}
        part = self.part(images.difference(folds[number]))
        normal = part.normal
        if isinstance(normal, PictureBatches):
            normal = replace(normal, description=f"fitting, {name}")
        return replace(part, normal=normal, fold=name)

    def generator(self) -> torch.Generator:
        """Return a new random generator with the seed."""
        return torch.Generator().manual_seed(self.seed)


@dataclass(frozen=True)
class PictureBatches:
    """Batches of images (B, 3, H, W) of pictures; files are read again in each iteration.

    Args:
        pictures: pictures of any sizes.
        geometry: how pictures become images.
        batch: images per batch; the last batch may be smaller.
        description: text of the progress display; empty: none.
    """

    pictures: Sequence[Picture]
    geometry: Geometry
    batch: int
    description: str = ""

    def part(self, pictures: Collection[int]) -> PictureBatches:
        """Return batches of some of the pictures, by their places, without a progress display."""
        kept = frozenset(pictures)
        chosen = [p for i, p in enumerate(self.pictures) if i in kept]
        return replace(self, pictures=chosen, description="")

    def __iter__(self) -> Iterator[Tensor]:
        batch: list[Tensor] = []
        for picture in self._tracked():
            batch.append(image_of(picture, self.geometry))
            if len(batch) == self.batch:
                yield torch.cat(batch)
                batch = []
        if batch:
            yield torch.cat(batch)

    def _tracked(self) -> Iterable[Picture]:
        if not self.description:
            return self.pictures
        total = len(self.pictures)
        return track(self.pictures, self.description, total=total)


def fold_name(number: int, count: int) -> str:
    """Return the name of a fold in progress displays.

    >>> fold_name(0, 5)
    'fold 1 of 5'
    """
    return f"fold {number + 1} of {count}"


@dataclass(frozen=True)
class _Selected:
    """Some of the images of batches, by their places in the order of iteration."""

    batches: Iterable[Tensor]
    images: frozenset[int]

    def __iter__(self) -> Iterator[Tensor]:
        start = 0
        for batch in self.batches:
            stop = start + len(batch)
            rows = [i - start for i in range(start, stop) if i in self.images]
            start = stop
            if rows:
                yield batch[rows]


def selected(
    batches: Iterable[Tensor], images: Collection[int]
) -> Iterable[Tensor]:
    """Return batches of some of the images, by their places in the order of iteration."""
    if isinstance(batches, PictureBatches):
        return batches.part(images)
    return _Selected(batches, frozenset(images))


def without_rows(rows: Tensor, places: Collection[int]) -> Tensor:
    """Return rows (N, d) without those of some places.

    >>> without_rows(torch.arange(4), [0, 2])
    tensor([1, 3])
    """
    is_other = torch.ones(len(rows), dtype=torch.bool)
    is_other[list(places)] = False
    return rows[is_other]


@dataclass(frozen=True)
class LabelledBatches:
    """Batches (images, anomalous) of normal pictures, then of anomalous ones."""

    normal: PictureBatches
    anomalous: PictureBatches

    def __iter__(self) -> Iterator[Labelled]:
        for batches, label in ((self.normal, False), (self.anomalous, True)):
            for images in batches:
                yield images, torch.full((len(images),), label)


def image_of(picture: Picture, geometry: Geometry) -> Tensor:
    """Return the image (1, 3, H, W) of a picture, in [0, 1]."""
    frame = torch.from_numpy(picture.frame().copy())
    return to_images(frame[None], geometry)
