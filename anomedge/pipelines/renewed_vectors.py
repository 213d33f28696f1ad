"""Replace the vectors of a memory bank by new features of the patches that they were taken from."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["RenewedVectors"]

_SAME_PATCH = 1e-3
"""Largest distance of a vector from its own patch, as a share of its norm; other patches are at a tenth and more."""


class RenewedVectors:
    """Vectors of a bank, replaced by the new features of the patches that they were taken from.

    Args:
        vectors: (N, d); modified.
    """

    def __init__(self, vectors: Tensor) -> None:
        self.vectors = vectors
        self.norms = vectors.norm(dim=1)
        self.distances = torch.full((len(vectors),), torch.inf)

    def take(self, distances: Tensor, rows: Tensor, renewed: Tensor) -> None:
        """Replace the vectors that have a nearer patch here.

        Args:
            distances: of each patch from its nearest vector, (M,).
            rows: of that vector, (M,).
            renewed: new features of the patches, (M, d).
        """
        nearest = self.distances.scatter_reduce(0, rows, distances, "amin")
        closer = nearest < self.distances
        is_nearest = distances == nearest[rows]
        chosen = (is_nearest & closer[rows]).nonzero().squeeze(1)
        self.vectors[rows[chosen]] = renewed[chosen]
        self.distances = nearest

    @property
    def are_of_other_images(self) -> bool:
        """Whether most vectors were taken from none of the patches, within float32 rounding."""
        same = self.distances <= _SAME_PATCH * self.norms
        return bool(same.double().mean() < 0.5)
