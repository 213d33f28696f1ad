r"""Nearest neighbours in a memory bank and the re-weighted image score.

A product selects the neighbour and a subtraction measures the distance. With a
bank :math:`M` of N vectors and a patch :math:`x`,

.. math:: j^* = \arg\min_j \big(\lVert m_j \rVert^2 / 2 - x \cdot m_j\big), \qquad d = \lVert x - m_{j^*} \rVert

The value of :math:`d^2` in the product loses digits by cancellation for patches
near the bank, so it is used for selection only. Bank and patches are centred on
the mean of the bank first, which keeps distances and improves the precision of
the product.

A patch is a stack of levels, :math:`x = (U_1 z_1, \dots, U_L z_L)`; coarse
levels are upsampled by a matrix :math:`U_l` with row sums of 1. Products are
linear, so each level is multiplied on its own grid,

.. math:: x \cdot m_j = \sum_l U_l\, (z_l \cdot m_{j,l})

which is a quarter of the work at half the resolution. The norms are added to
the coarsest level, which has the fewest patches.

The image score is that of the most distant patch :math:`m^{test}`, with
:math:`m^*` its neighbour and :math:`N_b(m^*)` the b bank vectors nearest to
:math:`m^*`, including :math:`m^*` (Roth et al. 2022, arXiv:2106.08265,
equation 7):

.. math:: s = \Big(1 - \frac{\exp \lVert m^{test} - m^* \rVert}
                          {\sum_{m \in N_b(m^*)} \exp \lVert m^{test} - m \rVert}\Big)\, \lVert m^{test} - m^* \rVert

:math:`N_b` depends on the bank only, so it is a table, computed once in
float64.
"""

import copy
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from anomedge.components.buffers import as_dtype_of, plain_state
from anomedge.components.estimators.first_minimum import BLOCK, first_minimum
from anomedge.components.estimators.int8_search import Int8Search
from anomedge.components.estimators.levels import (
    rows_of,
    rows_on_finest,
    upsampled,
)
from anomedge.components.estimators.search_proof import Search, proof_of
from anomedge.components.resampling import LinearResample2d
from anomedge.components.scalars import sizes, whole
from anomedge.errors import InputError

__all__ = ["MemoryBank"]

_ROWS_AT_ONCE = 1024
_LARGE = 1024
# Products are computed in parts of the bank to limit memory.
_PART = 2048
_MOST_PARTS = 32


class MemoryBank(nn.Module):
    """A bank of N vectors of d features, with a table of b nearest neighbours.

    Args:
        n_vectors: N.
        n_features: d, or d_l of each level, finest first.
        num_neighbors: b, of the re-weighting; 1 leaves the score unchanged.
        upsample: maps each level to the finest grid; None for a level on the
            finest grid, and for all levels by default.

    Raises:
        InputError: an empty bank, or not one `upsample` per level.

    Example:
        >>> bank = MemoryBank(n_vectors=3, n_features=1, num_neighbors=2)
        >>> bank.fill(torch.tensor([[0.0], [1.0], [5.0]]))
        >>> distances, locations = bank.nearest(torch.tensor([[2.0], [5.5]]))
        >>> distances.tolist(), locations.tolist()
        ([1.0, 0.5], [1, 2])
        >>> distances, score = bank([torch.tensor([[[[2.0, 1.0]]]])])
        >>> distances.tolist(), score
        ([[1.0, 0.0]], tensor([0.7311]))
    """

    centre: Tensor
    half_norms: Tensor
    neighbors: Tensor
    zeros: Tensor

    @plain_state
    def __init__(
        self,
        n_vectors: int,
        n_features: int | Sequence[int],
        num_neighbors: int = 9,
        *,
        upsample: Sequence[LinearResample2d | None] | None = None,
    ) -> None:
        super().__init__()
        self.n_vectors = whole(n_vectors, "n_vectors")
        self.num_neighbors = min(
            whole(num_neighbors, "num_neighbors"), self.n_vectors
        )
        self.widths = list(
            sizes(n_features) or [whole(n_features, "n_features")]
        )
        given = list(upsample or [None] * len(self.widths))
        if len(given) != len(self.widths):
            raise InputError(
                f"got {len(given)} upsamplings of {len(self.widths)} levels; expected one each, or None"
            )
        self.upsample = nn.ModuleList(
            nn.Identity() if step is None else step for step in given
        )
        self.bounds = _bounds(self.n_vectors)
        self.search: Int8Search | None = None
        for level, width in enumerate(self.widths):
            self.register_buffer(
                f"vectors{level}", torch.zeros(self.n_vectors, width)
            )
        self.register_buffer("centre", torch.zeros(sum(self.widths)))
        self.register_buffer("half_norms", torch.zeros(self.n_vectors))
        self.register_buffer(
            "neighbors",
            torch.zeros(
                self.n_vectors, self.num_neighbors - 1, dtype=torch.int32
            ),
        )
        most = max(BLOCK, *self.widths)
        self.register_buffer(
            "zeros",
            torch.from_numpy(np.zeros((1, 1, most), dtype=np.int64)),
            persistent=False,
        )

    @property
    def vectors(self) -> Tensor:
        """The bank minus its `centre`, (N, d)."""
        return torch.cat(self._levels, dim=1)

    @plain_state
    def fill(self, vectors: Tensor) -> None:
        """Set the vectors (N, d); centring, norms and neighbours use float64.

        Raises:
            InputError: other sizes than (N, d), or a value that is not finite.
        """
        expected = (self.n_vectors, sum(self.widths))
        if vectors.shape != expected or not bool(torch.isfinite(vectors).all()):
            raise InputError(
                f"got a bank {tuple(vectors.shape)}; expected finite {expected}"
            )
        self.centre = vectors.double().mean(dim=0).to(self.centre)
        centred = (vectors.double() - self.centre.double()).to(self.centre)
        exact = centred.double()
        self.half_norms = (exact.square().sum(dim=1) / 2).to(self.centre)
        self.neighbors = self._neighbors_of(exact)
        for level, part in enumerate(torch.split(centred, self.widths, dim=1)):
            setattr(self, f"vectors{level}", part.contiguous())

    def forward(
        self, levels: Sequence[Tensor], inside: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compute distances (B, P), P = h_1 w_1, and the score (B,).

        Args:
            levels: feature maps (B, d_l, h_l, w_l), finest first.
            inside: factors of the distances, (P,): 1 for patches that count, 0
                for others; None: all of them count.
        """
        found = self.examine(levels, inside)
        return found.distances, found.score

    def examine(
        self, levels: Sequence[Tensor], inside: Tensor | None = None
    ) -> Search:
        """Return distances and score, as `forward`, and the proof of an INT8 search."""
        offsets, locations, bounds = self._select(levels)
        distances = self._distances(offsets, locations)
        patches = levels[0].shape[2] * levels[0].shape[3]
        proof = None
        if self.search is not None and bounds is not None:
            proof = proof_of(self.search, offsets, distances, bounds)
        distances = distances.reshape(-1, patches)
        if inside is not None:
            factors = as_dtype_of(inside, distances)
            distances = distances * factors
            proof = None if proof is None else proof.within(factors)
        score = self._image_score(
            offsets, distances, locations.reshape(-1, patches)
        )
        return Search(distances, score, proof)

    def nearest(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distance (M,) and row (M,) of the nearest vector.

        Args:
            patches: (M, d); all levels must share one grid.
        """
        parts = torch.split(patches, self.widths, dim=1)
        return self.neighbours([part.T[None, :, :, None] for part in parts])

    def neighbours(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return distance and row of each patch's nearest vector, (B P,).

        Args:
            levels: feature maps (B, d_l, h_l, w_l), finest first.
        """
        offsets, locations, _ = self._select(levels)
        return self._distances(offsets, locations), locations

    @plain_state
    def with_int8_search(self, candidates: int, limit: int) -> "MemoryBank":
        """Return this bank with an INT8 copy that selects candidates, see `Int8Search`; all other tensors are shared."""
        search = Int8Search(
            self.n_vectors,
            sum(self.widths),
            candidates=candidates,
            limit=limit,
        )
        search.fill(self.vectors)
        twin = copy.copy(self)
        twin._modules = self._modules | {"search": search}
        twin.__dict__.pop("search", None)
        return twin

    @property
    def _levels(self) -> list[Tensor]:
        return [
            self.get_buffer(f"vectors{level}")
            for level in range(len(self.widths))
        ]

    def _select(
        self, levels: Sequence[Tensor]
    ) -> tuple[list[Tensor], Tensor, Tensor | None]:
        """Return centre - patch, (B, P, d_l) per level, nearest rows (B P,), and bounds (B P, k) of an INT8 search."""
        centres = torch.split(self.centre, self.widths)
        own = [
            centre.reshape(1, -1, 1, 1) - x
            for centre, x in zip(centres, levels, strict=True)
        ]
        if self.search is None:
            locations = self._nearest_of_all(own)
            offsets = [
                rows_of(upsample(x))
                for upsample, x in zip(self.upsample, own, strict=True)
            ]
            return offsets, locations, None
        offsets = [
            rows_on_finest(x, upsample)
            for x, upsample in zip(own, self.upsample, strict=True)
        ]
        bounds, candidates = self.search(torch.cat(offsets, dim=2))
        return offsets, self._nearest_of(offsets, candidates), bounds

    def _nearest_of(
        self, offsets: Sequence[Tensor], candidates: Tensor
    ) -> Tensor:
        """Return the nearest rows (B P,) among candidates (B P, k) by products in full precision."""
        k = candidates.shape[1]
        rows = candidates.flatten()
        total = as_dtype_of(self.half_norms, offsets[0]).index_select(0, rows)
        total = total.reshape(-1, k)
        for offset, vectors in zip(offsets, self._levels, strict=True):
            width = offset.shape[2]
            members = vectors.index_select(0, rows).reshape(-1, k, width)
            total = total + torch.matmul(
                as_dtype_of(members, offset), offset.reshape(-1, width, 1)
            ).squeeze(2)
        nearest = total <= total.amin(dim=1, keepdim=True)
        # The first of equal rows, as in a search of all.
        return torch.where(nearest, candidates, self.n_vectors).amin(dim=1)

    def _nearest_of_all(self, own: Sequence[Tensor]) -> Tensor:
        """Return the nearest rows (B P,) by products with the whole bank."""
        rows = [rows_of(x).reshape(-1, x.shape[1]) for x in own]
        least, locations = first_minimum(
            self._half_squares(rows, *self.bounds[0]), self.zeros
        )
        for start, stop in self.bounds[1:]:
            values, places = first_minimum(
                self._half_squares(rows, start, stop), self.zeros
            )
            locations = torch.where(values < least, places + start, locations)
            least = torch.minimum(values, least)
        return locations

    def _half_squares(
        self, patches: Sequence[Tensor], start: int, stop: int
    ) -> Tensor:
        """Return half the squared distances to a part of the bank, (B P, n).

        The squared norm of the patch is left out.
        """
        total = as_dtype_of(self.half_norms[start:stop], patches[0])
        for rows, vectors, upsample in reversed(
            list(zip(patches, self._levels, self.upsample, strict=True))
        ):
            part = as_dtype_of(vectors[start:stop].T, rows)
            if not isinstance(upsample, LinearResample2d):
                total = torch.addmm(total, rows, part)
            elif total.ndim == 1:
                total = upsampled(torch.addmm(total, rows, part), upsample)
            else:
                total = total + upsampled(torch.matmul(rows, part), upsample)
        return total

    def _distances(
        self, offsets: Sequence[Tensor], locations: Tensor
    ) -> Tensor:
        """Compute the distances by subtraction, (B P,)."""
        squares = [
            (
                offset.reshape(-1, offset.shape[2])
                + vectors.index_select(0, locations)
            )
            .square()
            .sum(dim=1)
            for offset, vectors in zip(offsets, self._levels, strict=True)
        ]
        return (
            torch.stack(squares).sum(dim=0).sqrt()
            if len(squares) > 1
            else squares[0].sqrt()
        )

    def _image_score(
        self, offsets: Sequence[Tensor], distances: Tensor, locations: Tensor
    ) -> Tensor:
        """Compute the re-weighted score of the most distant patch, (B,)."""
        worst = distances.argmax(dim=1, keepdim=True)
        score = distances.gather(1, worst).squeeze(1)
        if self.num_neighbors == 1:
            return score
        support = self.neighbors.index_select(
            0, locations.gather(1, worst).squeeze(1)
        ).flatten()
        squares = []
        for offset, vectors in zip(offsets, self._levels, strict=True):
            width = offset.shape[2]
            # Adding constant zeros broadcasts the index without an Expand of a shape computed at run time.
            patch = offset.gather(
                1, worst.unsqueeze(2) + self.zeros[:, :, :width]
            )
            members = vectors.index_select(0, support).reshape(
                -1, self.num_neighbors - 1, width
            )
            squares.append((patch + members).square().sum(dim=2))
        to_support = torch.stack(squares).sum(dim=0).sqrt()
        # The nearest vector is its own first neighbour.
        return (
            1
            - torch.softmax(
                torch.cat([score[:, None], to_support], dim=1), dim=1
            )[:, 0]
        ) * score

    def _neighbors_of(self, exact: Tensor) -> Tensor:
        """Return the rows of the b - 1 nearest other vectors, nearest first."""
        half_norms = exact.square().sum(dim=1) / 2
        blocks = []
        for start in range(0, exact.shape[0], _ROWS_AT_ONCE):
            block = half_norms - exact[start : start + _ROWS_AT_ONCE] @ exact.T
            rows = torch.arange(start, start + block.shape[0])
            block[rows - start, rows] = torch.inf
            blocks.append(
                block.topk(
                    self.num_neighbors - 1, dim=1, largest=False
                ).indices.int()
            )
        return torch.cat(blocks)


def _bounds(n: int) -> list[tuple[int, int]]:
    """Split a bank into parts of equal size, as row ranges [start, stop).

    Equal parts reuse the same memory. The rest comes first, because ONNX
    Runtime starts with the last part; rows that fill no block are a part of
    their own.

    >>> _bounds(1000), _bounds(4200)
    ([(0, 1000)], [(0, 40), (40, 104), (104, 2152), (2152, 4200)])
    """
    if n < _LARGE:
        return [(0, n)]
    blocks = n // BLOCK
    height = max(_PART // BLOCK, -(-blocks // _MOST_PARTS))
    edges = {0, n % BLOCK, *range(n, 0, -height * BLOCK)}
    ordered = sorted(edges)
    return list(pairwise(ordered))
