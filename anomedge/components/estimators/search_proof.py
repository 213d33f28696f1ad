"""Proof that a search by candidates found the nearest vectors, patch by patch."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from anomedge.components.estimators.int8_search import Int8Search

__all__ = ["Proof", "Search", "proof_of"]


class Proof(NamedTuple):
    """Whether the nearest vector of each patch was found, both (B, P).

    Attributes:
        proven: 1 where it was, else 0.
        excess: the most by which the distance can be too large; 0 where it is proven.
    """

    proven: Tensor
    excess: Tensor

    def within(self, factors: Tensor) -> "Proof":
        """Return the proof of distances that are multiplied by factors (P,), 0 or 1.

        A patch that does not count has the distance 0, however it was found.
        """
        return Proof(
            torch.maximum(self.proven, 1 - factors), self.excess * factors
        )


class Search(NamedTuple):
    """Distances (B, P), scores (B,), and the proof of an INT8 search; None for a search of the whole bank."""

    distances: Tensor
    score: Tensor
    proof: Proof | None = None


def proof_of(
    search: Int8Search,
    offsets: Sequence[Tensor],
    distances: Tensor,
    bounds: Tensor,
) -> Proof:
    """Compare the distances measured with the lower bounds of the vectors that were not measured.

    Args:
        search: the search.
        offsets: y of each level on the finest grid, (B, P, d_l).
        distances: to the nearest candidates, (B P,).
        bounds: lower bounds of T of the candidates, least first, (B P, k).
    """
    patches = offsets[0].shape[1]
    if search.candidates == search.n_vectors:
        zeros = (distances * 0).reshape(-1, patches)
        return Proof(zeros + 1, zeros)
    squares = torch.stack(
        [offset.square().sum(dim=2).flatten() for offset in offsets]
    ).sum(dim=0)
    # The k-th bound is at most that of every vector behind it.
    others = 2 * (bounds[:, -1] - search.rounding(squares)) + squares
    is_proven = distances.square() <= others
    excess = (distances - others.clamp(min=0).sqrt()).clamp(min=0)
    return Proof(
        is_proven.to(distances.dtype).reshape(-1, patches),
        torch.where(is_proven, 0, excess).reshape(-1, patches),
    )
