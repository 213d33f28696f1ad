"""Images of a training in a temporary file, and batches of them in a new order in each epoch."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from anomedge.errors import InputError, OutputError
from anomedge.pipelines.data import FitData
from anomedge.pipelines.training.augment import augmented
from anomedge.pipelines.training.options import TrainOptions

__all__ = [
    "Batches",
    "ShuffledBatches",
    "StoredImages",
    "derived_seed",
    "split_places",
]


class StoredImages:
    """The images of a fit by place, read once and kept in a temporary file.

    Pictures are decoded once and not in each epoch, and memory does not grow with their number.

    Args:
        data: the images.

    Attributes:
        digest: SHA-256 of all images.

    Raises:
        InputError: fewer than two images.
        OutputError: the folder for temporary files is full.
    """

    def __init__(self, data: FitData) -> None:
        digest = hashlib.sha256()
        shape, count, dtype = (0, 0, 0), 0, np.dtype(np.float32)
        with tempfile.TemporaryFile() as file:
            for images in data:
                content = np.ascontiguousarray(images.numpy())
                shape, dtype = content.shape[1:], content.dtype
                count += len(content)
                digest.update(content.data)
                _write(file, content)
            if count < 2:
                raise InputError(
                    f"got {count} images to train on; expected at least 2: give more pictures"
                )
            # The mapping keeps the content of the closed file.
            self._images = np.memmap(file, dtype, "r", shape=(count, *shape))
        self.digest = digest.hexdigest()

    def __len__(self) -> int:
        return len(self._images)

    def at(self, places: Sequence[int]) -> Tensor:
        """Return the images (B, 3, H, W) of these places."""
        return torch.from_numpy(np.array(self._images[list(places)]))


@dataclass(frozen=True)
class Batches:
    """Batches of stored images in their order; re-iterable.

    Args:
        images: the stored images.
        places: places of the images.
        batch: images per batch; the last batch may be smaller.
    """

    images: StoredImages
    places: Sequence[int]
    batch: int

    def __len__(self) -> int:
        return -(-len(self.places) // self.batch)

    def __iter__(self) -> Iterator[Tensor]:
        for start in range(0, len(self.places), self.batch):
            yield self.images.at(self.places[start : start + self.batch])


@dataclass(frozen=True)
class ShuffledBatches:
    """Batches of an epoch: in random order, augmented, and of sizes that differ by one at most.

    The last batch is therefore never a single image, of which batch normalisation has no variance.

    Args:
        images: the stored images.
        places: places of the images to train on.
        options: batch size and augmentations.
        seed: seed of order and augmentations.
        epoch: returns the number of finished epochs; each epoch has random choices of its own.
    """

    images: StoredImages
    places: Sequence[int]
    options: TrainOptions
    seed: int
    epoch: Callable[[], int]

    def __len__(self) -> int:
        return -(-len(self.places) // self.options.train_batch)

    def __iter__(self) -> Iterator[Tensor]:
        # Derived, so that a resumed training has the same order.
        seed = derived_seed(self.seed, f"epoch {self.epoch()}")
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self.places), generator=generator)
        for part in torch.tensor_split(order, len(self)):
            images = self.images.at([self.places[i] for i in part.tolist()])
            yield augmented(images, self.options, generator)


def split_places(
    count: int, options: TrainOptions, seed: int
) -> tuple[list[int], list[int]]:
    """Return the places of the images to train on, and of those held out for early stopping.

    Raises:
        InputError: too few images for both.

    >>> split_places(3, TrainOptions(), 0)
    ([0, 1, 2], [])
    """
    if options.patience is None:
        return list(range(count)), []
    seed = derived_seed(seed, "held out")
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(count, generator=generator).tolist()
    held = max(1, round(count * options.held_out))
    if count - held < 2:
        raise InputError(
            f"got {count} images to train on, {held} of them held out; expected at least 2 beside those: "
            f"give more pictures, or leave out --patience"
        )
    return sorted(order[held:]), sorted(order[:held])


def derived_seed(seed: int, purpose: str) -> int:
    """Return a seed for one purpose; random weights that are drawn with the seed itself are independent of it."""
    digest = hashlib.sha256(f"{seed} {purpose}".encode()).digest()
    return int.from_bytes(digest[:7], "big")


def _write(file: IO[bytes], content: npt.NDArray[Any]) -> None:
    try:
        file.write(content.data)
        file.flush()
    except OSError as error:
        raise OutputError(
            f"cannot store the images to train on in {tempfile.gettempdir()} ({error.strerror}); "
            f"expected free space: free some, or name another folder in TMPDIR"
        ) from error
