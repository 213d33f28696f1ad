r"""Nearest neighbours in a memory bank, and the re-weighted image score.

A product selects and a subtraction measures. With a bank :math:`M` of N vectors and a patch :math:`x`,

.. math:: j^* = \arg\min_j \big(\lVert m_j \rVert^2 / 2 - x \cdot m_j\big), \qquad d = \lVert x - m_{j^*} \rVert

The product's own value of :math:`d^2` cancels for patches near the bank, so it only picks; bank and patches are
centred on the bank's mean first, which leaves distances as they are and the product with fewer digits to lose.

A patch is a stack of levels, :math:`x = (U_1 z_1, \dots, U_L z_L)`, of which the coarser ones were upsampled by a
matrix :math:`U_l` whose rows sum to 1. Products are linear, so each level's are taken on its own grid,

.. math:: x \cdot m_j = \sum_l U_l\, (z_l \cdot m_{j,l})

a quarter of the work for a level of half the resolution; the norms join the coarsest, where they are added least often.

The image score is that of the worst patch :math:`m^{test}`, with :math:`m^*` its neighbour and :math:`N_b(m^*)` the b
bank vectors nearest to :math:`m^*`, itself included (Roth et al. 2022, arXiv:2106.08265, equation 7):

.. math:: s = \Big(1 - \frac{\exp \lVert m^{test} - m^* \rVert}
                          {\sum_{m \in N_b(m^*)} \exp \lVert m^{test} - m \rVert}\Big)\, \lVert m^{test} - m^* \rVert

:math:`N_b` depends on the bank alone, so it is a table, made once in float64.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from anomedge.components.resampling import LinearResample2d
from anomedge.errors import InputError

__all__ = ["MemoryBank"]

_ROWS_AT_ONCE = 1024
# Runtimes scan an ArgMin one number at a time and a ReduceMin many, so the minimum of blocks comes first; the last
# block is filled up with copies of the last vector, which are never chosen before it.
_BLOCK = 64
_LARGE = 1024


class MemoryBank(nn.Module):
    """A bank of N vectors of d features with a table of the b nearest of each.

    Args:
        n_vectors: N.
        n_features: d, or d_l of each level, finest first.
        num_neighbors: b, of the re-weighting; 1 leaves the score as it is.
        upsample: what brings each level to the finest grid; None for one that lies on it, and for all when not given.

    Raises:
        InputError: nothing to hold, or not one `upsample` a level.

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

    def __init__(
        self,
        n_vectors: int,
        n_features: int | Sequence[int],
        num_neighbors: int = 9,
        *,
        upsample: Sequence[LinearResample2d | None] | None = None,
    ) -> None:
        super().__init__()
        self.widths = [n_features] if isinstance(n_features, int) else list(n_features)
        if not self.widths or min(n_vectors, num_neighbors, *self.widths) < 1:
            raise InputError(
                f"got {n_vectors} vectors, {n_features} features, {num_neighbors} neighbours; expected >= 1"
            )
        given = list(upsample or [None] * len(self.widths))
        if len(given) != len(self.widths):
            raise InputError(f"got {len(given)} upsamplings of {len(self.widths)} levels; expected one each, or None")
        self.n_vectors = n_vectors
        self.num_neighbors = min(num_neighbors, n_vectors)
        self.upsample = nn.ModuleList(nn.Identity() if step is None else step for step in given)
        self.block = n_vectors if n_vectors < _LARGE else _BLOCK
        rows = -(-n_vectors // self.block) * self.block
        for level, width in enumerate(self.widths):
            self.register_buffer(f"vectors{level}", torch.zeros(rows, width))
        self.register_buffer("centre", torch.zeros(sum(self.widths)))
        self.register_buffer("half_norms", torch.zeros(rows))
        self.register_buffer("neighbors", torch.zeros(rows, self.num_neighbors, dtype=torch.int64))
        most = max(self.block, *self.widths)
        self.register_buffer("zeros", torch.from_numpy(np.zeros((1, 1, most), dtype=np.int64)), persistent=False)

    @property
    def vectors(self) -> Tensor:
        """The bank, less its `centre`, (N, d)."""
        return torch.cat(self._levels, dim=1)[: self.n_vectors]

    def fill(self, vectors: Tensor) -> None:
        """Take the bank's vectors (N, d), in this module's dtype; centring, norms and neighbours follow in float64.

        Raises:
            InputError: other sizes than (N, d), or a value that is not finite.
        """
        expected = (self.n_vectors, sum(self.widths))
        if vectors.shape != expected or not bool(torch.isfinite(vectors).all()):
            raise InputError(f"got a bank {tuple(vectors.shape)}; expected finite {expected}")
        self.centre = vectors.double().mean(dim=0).to(self.centre)
        centred = (vectors.double() - self.centre.double()).to(self.centre)
        exact = centred.double()
        half_norms = (exact.square().sum(dim=1) / 2).to(self.centre)
        rows = torch.arange(len(self.half_norms)).clamp(max=self.n_vectors - 1)
        self.half_norms, self.neighbors = half_norms[rows], self._neighbors_of(exact)[rows]
        for level, part in enumerate(torch.split(centred, self.widths, dim=1)):
            setattr(self, f"vectors{level}", part[rows])

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Feature maps (B, d_l, h_l, w_l), finest first, to distances (B, P), P = h_1 w_1, and the score (B,)."""
        offsets, locations = self._select(levels)
        distances = self._distances(offsets, locations)
        patches = levels[0].shape[2] * levels[0].shape[3]
        distances = distances.reshape(-1, patches)
        return distances, self._image_score(offsets, distances, locations.reshape(-1, patches))

    def nearest(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Distance to the nearest vector and its row, (M, d) to (M,) and (M,); for a bank whose levels share a grid."""
        offsets, locations = self._select(
            [part.T[None, :, :, None] for part in torch.split(patches, self.widths, dim=1)]
        )
        return self._distances(offsets, locations), locations

    @property
    def _levels(self) -> list[Tensor]:
        return [self.get_buffer(f"vectors{level}") for level in range(len(self.widths))]

    def _select(self, levels: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Centre less patch, (B, P, d_l) of every level, and each patch's nearest row, (B P,)."""
        centres = torch.split(self.centre, self.widths)
        own = [centre.reshape(1, -1, 1, 1) - x for centre, x in zip(centres, levels, strict=True)]
        locations = _first_minimum(self._half_squares(own), self.block, self.zeros)
        return [_rows(upsample(x)) for upsample, x in zip(self.upsample, own, strict=True)], locations

    def _half_squares(self, own: Sequence[Tensor]) -> Tensor:
        """Half the squared distance, less the patch's own norm, of every patch to every row, (B P, N)."""
        total = self.half_norms
        for x, vectors, upsample in reversed(list(zip(own, self._levels, self.upsample, strict=True))):
            rows = _rows(x).reshape(-1, x.shape[1])
            if not isinstance(upsample, LinearResample2d):
                total = torch.addmm(total, rows, vectors.T)
            elif total.ndim == 1:
                total = _upsampled(torch.addmm(total, rows, vectors.T), upsample)
            else:
                total = total + _upsampled(torch.matmul(rows, vectors.T), upsample)
        return total

    def _distances(self, offsets: Sequence[Tensor], locations: Tensor) -> Tensor:
        """Measured by subtraction, (B P,)."""
        squares = [
            (offset.reshape(-1, offset.shape[2]) + vectors.index_select(0, locations)).square().sum(dim=1)
            for offset, vectors in zip(offsets, self._levels, strict=True)
        ]
        return torch.stack(squares).sum(dim=0).sqrt() if len(squares) > 1 else squares[0].sqrt()

    def _image_score(self, offsets: Sequence[Tensor], distances: Tensor, locations: Tensor) -> Tensor:
        """The re-weighted score of the worst patch, (B,)."""
        worst = distances.argmax(dim=1, keepdim=True)
        score = distances.gather(1, worst).squeeze(1)
        if self.num_neighbors == 1:
            return score
        support = self.neighbors.index_select(0, locations.gather(1, worst).squeeze(1)).flatten()
        squares = []
        for offset, vectors in zip(offsets, self._levels, strict=True):
            width = offset.shape[2]
            # Adding constant zeros broadcasts the index without an Expand of a shape computed at run time.
            patch = offset.gather(1, worst.unsqueeze(2) + self.zeros[:, :, :width])
            members = vectors.index_select(0, support).reshape(-1, self.num_neighbors, width)
            squares.append((patch + members).square().sum(dim=2))
        to_support = torch.stack(squares).sum(dim=0).sqrt()
        return (1 - torch.softmax(to_support, dim=1)[:, 0]) * score

    def _neighbors_of(self, exact: Tensor) -> Tensor:
        """Rows of the nearest vectors, nearest first, each vector's own row leading."""
        half_norms = exact.square().sum(dim=1) / 2
        blocks = []
        for start in range(0, exact.shape[0], _ROWS_AT_ONCE):
            block = half_norms - exact[start : start + _ROWS_AT_ONCE] @ exact.T
            rows = torch.arange(start, start + block.shape[0])
            block[rows - start, rows] = -torch.inf
            blocks.append(block.topk(self.num_neighbors, dim=1, largest=False).indices)
        return torch.cat(blocks)


def _rows(x: Tensor) -> Tensor:
    """Shape (B, d, h, w) to (B, h w, d)."""
    return x.flatten(2).transpose(1, 2)


def _upsampled(products: Tensor, resample: LinearResample2d) -> Tensor:
    """Products of a coarse grid's patches, (B h w, N), to the finest grid's, (B H W, N): the vectors lie innermost."""
    n, h, w = products.shape[1], resample.rows.shape[1], resample.columns.shape[0]
    tall = torch.matmul(resample.rows, products.reshape(-1, h, w * n))
    return torch.matmul(resample.columns.T, tall.reshape(-1, w, n)).reshape(-1, n)


def _first_minimum(values: Tensor, block: int, zeros: Tensor) -> Tensor:
    """Column of the first least value of each row, (M, N) to (M,): the least block first, then the place within it."""
    n = values.shape[1]
    if n == block:
        return values.argmin(dim=1)
    blocks = values.reshape(-1, n // block, block)
    least = blocks.amin(dim=2).argmin(dim=1)
    within = blocks.gather(1, least.reshape(-1, 1, 1) + zeros[:, :, :block]).squeeze(1)
    return least * block + within.argmin(dim=1)
