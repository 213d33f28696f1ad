r"""Random projection with a very sparse matrix.

.. math:: y = R\, x, \qquad R_{ij} = \sqrt{\tfrac{s}{k}} \begin{cases} +1 & \text{with probability } 1/2s \\
          0 & 1 - 1/s \\ -1 & 1/2s \end{cases}, \qquad s = \sqrt d

(Li, Hastie and Church 2006, "Very sparse random projections", KDD). Squared
distances between n points change by a factor within :math:`1 \pm \epsilon` when

.. math:: k \ge \frac{4 \ln n}{\epsilon^2 / 2 - \epsilon^3 / 3}

(Johnson and Lindenstrauss; the bound of Dasgupta and Gupta 2003, "An elementary
proof of a theorem of Johnson and Lindenstrauss"). The bound does not depend on
d: for few features, k may exceed d.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from anomedge.components.buffers import (
    DynamicBufferModule,
    checked_dataset,
    floating,
    plain_state,
)
from anomedge.components.scalars import number, real, seed
from anomedge.errors import InputError

__all__ = ["SparseRandomProjection"]


class SparseRandomProjection(DynamicBufferModule):
    """Project onto k random directions; samples and distortion determine k.

    Args:
        eps: largest relative change of squared distances, in (0, 1).
        random_state: seed of the matrix; None draws a fresh one from the system
            each time. The global random state is neither read nor changed.

    Attributes:
        sparse_random_matrix: R, (k, d), a dense buffer in the data's dtype,
            empty before `fit`; about 1 / sqrt(d) of it is not zero.
        n_components: k; 0 before `fit`.

    Raises:
        InputError: eps outside (0, 1).

    Example:
        >>> projection = SparseRandomProjection(eps=0.9, random_state=0)
        >>> projection.fit(torch.zeros(50, 400)).n_components
        96
        >>> x = torch.ones(1, 400)
        >>> projection.transform(x).shape, round(float(projection.transform(x).square().sum() / x.square().sum()), 2)
        (torch.Size([1, 96]), 1.06)
    """

    sparse_random_matrix: Tensor

    @plain_state
    def __init__(
        self, eps: float = 0.1, random_state: int | None = None
    ) -> None:
        super().__init__()
        self.eps = real(eps, "eps")
        if not 0 < self.eps < 1:
            raise InputError(
                f"got eps={eps}; expected a distortion between 0 and 1, such as 0.1"
            )
        self.random_state = (
            None if random_state is None else seed(random_state, "random_state")
        )
        self.n_components = 0
        self.register_buffer("sparse_random_matrix", torch.empty(0))

    @staticmethod
    def johnson_lindenstrauss_min_dim(n_samples: int, eps: float = 0.1) -> int:
        """Return k for n_samples points and distortion eps, rounded down.

        >>> SparseRandomProjection.johnson_lindenstrauss_min_dim(1_000_000, eps=0.5)
        663

        Raises:
            InputError: fewer than one sample, or eps outside (0, 1).
        """
        samples, distortion = number(n_samples, "n_samples"), real(eps, "eps")
        if samples < 1 or not 0 < distortion < 1:
            raise InputError(
                f"got {samples} samples, eps={eps}; expected at least 1 and an eps between 0 and 1"
            )
        return int(
            4 * math.log(samples) / (distortion**2 / 2 - distortion**3 / 3)
        )

    @plain_state
    def fit(self, embedding: Tensor) -> "SparseRandomProjection":
        """Draw the matrix for the size of an embedding (N, d); returns self.

        Raises:
            InputError: not (N, d) of at least two finite rows.
        """
        samples, features = checked_dataset(embedding).shape
        self.n_components = max(
            1, self.johnson_lindenstrauss_min_dim(samples, self.eps)
        )
        self.sparse_random_matrix = self._sparse_random_matrix(features).to(
            embedding
        )
        return self

    def transform(self, embedding: Tensor) -> Tensor:
        """Project (B, d) to (B, k), in the dtype of the embedding; NaN stays NaN.

        Integers are projected in the matrix's dtype.

        Raises:
            InputError: before `fit`, or other sizes than (B, d).
        """
        if self.sparse_random_matrix.numel() == 0:
            raise InputError(
                "got a projection before fit; expected a matrix: call fit, or load a fitted state_dict"
            )
        if (
            embedding.ndim != 2
            or embedding.shape[1] != self.sparse_random_matrix.shape[1]
        ):
            expected = self.sparse_random_matrix.shape[1]
            raise InputError(
                f"got an embedding {tuple(embedding.shape)}; expected (B, {expected})"
            )
        embedding = floating(embedding, self.sparse_random_matrix)
        return torch.matmul(
            embedding, self.sparse_random_matrix.mT.to(embedding.dtype)
        )

    def forward(self, embedding: Tensor) -> Tensor:
        """Do the same as `transform`."""
        return self.transform(embedding)

    def extra_repr(self) -> str:
        """Format distortion and seed."""
        return f"eps={self.eps}, random_state={self.random_state}"

    def _sparse_random_matrix(self, n_features: int) -> Tensor:
        """Draw R, (n_components, n_features), float64.

        Raises:
            InputError: no features, or no number of components yet.
        """
        if n_features < 1 or self.n_components < 1:
            raise InputError(
                f"got {n_features} features, {self.n_components} components; expected at least 1 of each: call fit"
            )
        generator = torch.Generator()
        if self.random_state is None:
            generator.seed()
        else:
            generator.manual_seed(self.random_state)
        density = 1 / math.sqrt(n_features)
        drawn = torch.rand(
            self.n_components,
            n_features,
            generator=generator,
            dtype=torch.float64,
        )
        # The lowest 1 / 2s of the draws are -1, the next 1 / 2s are +1.
        signs = (drawn < density).double() - 2 * (drawn < density / 2).double()
        return signs * math.sqrt(1 / density / self.n_components)

    @plain_state
    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        if self.sparse_random_matrix.ndim == 2:
            self.n_components = self.sparse_random_matrix.shape[0]
