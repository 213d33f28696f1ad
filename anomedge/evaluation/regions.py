"""Connected regions of a mask, with NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from anomedge.images import Mask

__all__ = ["Regions", "regions_of"]

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Regions:
    """Connected regions of a mask.

    Attributes:
        count: number of regions.
        sizes: pixels of the region of each true pixel, in the order of
            `mask[mask]`.
    """

    count: int
    sizes: Indices


class _Runs(NamedTuple):
    """Runs of true pixels along rows; `stop` is one past the last pixel.

    Positions are row * stride + column, with a stride that keeps the runs of
    different rows apart.
    """

    start: Indices
    stop: Indices
    stride: int


def regions_of(mask: Mask) -> Regions:
    """Find the regions of true pixels that touch at sides or corners.

    Eight neighbours, as in the authors' code for AUPRO.

    >>> regions_of(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]], bool))
    Regions(count=2, sizes=array([2, 2, 1]))
    """
    runs = _runs_of(mask)
    lengths = runs.stop - runs.start
    labels = _joined(runs.start.size, *_touching(runs))
    sizes = np.bincount(labels, lengths).astype(np.int64)
    return Regions(np.unique(labels).size, np.repeat(sizes[labels], lengths))


def _runs_of(mask: Mask) -> _Runs:
    padded = np.pad(mask, ((0, 0), (1, 1))).astype(np.int8)
    edges = np.diff(padded, axis=1)
    stride = mask.shape[1] + 2
    places = np.arange(mask.shape[0])[:, None] * stride
    positions = places + np.arange(mask.shape[1] + 1)
    return _Runs(positions[edges == 1], positions[edges == -1], stride)


def _touching(runs: _Runs) -> tuple[Indices, Indices]:
    """Return the pairs of runs in neighbouring rows that touch."""
    # A run of the next row touches if it starts at or before this run's stop,
    # and stops at or after this run's start.
    first = np.searchsorted(runs.stop, runs.start + runs.stride, side="left")
    last = np.searchsorted(runs.start, runs.stop + runs.stride, side="right")
    counts = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(counts.size), counts)
    offsets = np.arange(upper.size) - np.repeat(
        np.cumsum(counts) - counts, counts
    )
    return upper, first[upper] + offsets


def _joined(count: int, one: Indices, other: Indices) -> Indices:
    """Return the smallest index of the runs that are connected to each run."""
    labels = np.arange(count)
    while True:
        low = np.minimum(labels[one], labels[other])
        joined = labels.copy()
        np.minimum.at(joined, labels[one], low)
        np.minimum.at(joined, labels[other], low)
        joined = joined[joined]
        if np.array_equal(joined, labels):
            return labels
        labels = joined
