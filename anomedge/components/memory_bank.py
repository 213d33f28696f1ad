r"""Nearest neighbours in a memory bank, and the re-weighted image score.

A product selects and a subtraction measures. With a bank :math:`M` of N vectors and a patch :math:`x`,

.. math:: j^* = \arg\min_j \big(\lVert m_j \rVert^2 - 2\, x \cdot m_j\big), \qquad d = \lVert x - m_{j^*} \rVert

The product's own value of :math:`d^2` cancels for patches near the bank, so it only picks; bank and patches are
centred on the bank's mean first, which leaves distances as they are and the product with fewer digits to lose.

The image score is that of the worst patch :math:`m^{test}`, with :math:`m^*` its neighbour and :math:`N_b(m^*)` the b
bank vectors nearest to :math:`m^*`, itself included (Roth et al. 2022, arXiv:2106.08265, equation 7):

.. math:: s = \Big(1 - \frac{\exp \lVert m^{test} - m^* \rVert}
                          {\sum_{m \in N_b(m^*)} \exp \lVert m^{test} - m \rVert}\Big)\, \lVert m^{test} - m^* \rVert

:math:`N_b` depends on the bank alone, so it is a table, made once in float64.
"""

import numpy as np
import torch
from torch import Tensor, nn

from anomedge.errors import InputError

__all__ = ["MemoryBank"]

_ROWS_AT_ONCE = 1024


class MemoryBank(nn.Module):
    """A bank of N vectors of d features with a table of the b nearest of each.

    Args:
        n_vectors: N.
        n_features: d.
        num_neighbors: b, of the re-weighting; 1 leaves the score as it is.

    Example:
        >>> bank = MemoryBank(n_vectors=3, n_features=1, num_neighbors=2)
        >>> bank.fill(torch.tensor([[0.0], [1.0], [5.0]]))
        >>> distances, locations = bank.nearest(torch.tensor([[2.0], [5.5]]))
        >>> distances.tolist(), locations.tolist()
        ([1.0, 0.5], [1, 2])
        >>> bank.image_score(torch.tensor([[[2.0]]]), torch.tensor([[1.0]]), torch.tensor([[1]]))
        tensor([0.7311])
    """

    vectors: Tensor
    centre: Tensor
    half_norms: Tensor
    neighbors: Tensor
    zeros: Tensor

    def __init__(self, n_vectors: int, n_features: int, num_neighbors: int = 9) -> None:
        super().__init__()
        if min(n_vectors, n_features, num_neighbors) < 1:
            raise InputError(
                f"got {n_vectors} vectors, {n_features} features, {num_neighbors} neighbours; expected >= 1"
            )
        self.num_neighbors = min(num_neighbors, n_vectors)
        self.register_buffer("vectors", torch.zeros(n_vectors, n_features))
        self.register_buffer("centre", torch.zeros(n_features))
        self.register_buffer("half_norms", torch.zeros(n_vectors))
        self.register_buffer("neighbors", torch.zeros(n_vectors, self.num_neighbors, dtype=torch.int64))
        self.register_buffer("zeros", torch.from_numpy(np.zeros((1, 1, n_features), dtype=np.int64)), persistent=False)

    def fill(self, vectors: Tensor) -> None:
        """Take the bank's vectors (N, d), in this module's dtype; centring, norms and neighbours follow in float64.

        Raises:
            InputError: other sizes than (N, d), or a value that is not finite.
        """
        if vectors.shape != self.vectors.shape or not bool(torch.isfinite(vectors).all()):
            raise InputError(f"got a bank {tuple(vectors.shape)}; expected finite {tuple(self.vectors.shape)}")
        self.centre = vectors.double().mean(dim=0).to(self.vectors)
        self.vectors = (vectors.double() - self.centre.double()).to(self.vectors)
        exact = self.vectors.double()
        self.half_norms = (exact.square().sum(dim=1) / 2).to(self.vectors)
        self.neighbors = self._neighbors_of(exact)

    def nearest(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Distance to the nearest vector and its row, (M, d) to (M,) and (M,)."""
        centred = patches - self.centre
        locations = (self.half_norms - torch.matmul(centred, self.vectors.T)).argmin(dim=1)
        difference = centred - self.vectors.index_select(0, locations)
        return difference.square().sum(dim=1).sqrt(), locations

    def image_score(self, patches: Tensor, distances: Tensor, locations: Tensor) -> Tensor:
        """The re-weighted score of the worst patch, (B, P, d), (B, P) and (B, P) to (B,)."""
        worst = distances.argmax(dim=1, keepdim=True)
        score = distances.gather(1, worst).squeeze(1)
        if self.num_neighbors == 1:
            return score
        # Adding constant zeros broadcasts the index without an Expand of a shape computed at run time.
        patch = patches.gather(1, worst.unsqueeze(2) + self.zeros) - self.centre
        support = self.neighbors.index_select(0, locations.gather(1, worst).squeeze(1))
        members = self.vectors.index_select(0, support.flatten()).reshape(-1, *self._support_shape)
        to_support = (patch - members).square().sum(dim=2).sqrt()
        return (1 - torch.softmax(to_support, dim=1)[:, 0]) * score

    @property
    def _support_shape(self) -> tuple[int, int]:
        return self.num_neighbors, self.vectors.shape[1]

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
