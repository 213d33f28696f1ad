r"""Principal component analysis.

With the mean :math:`\mu` and the singular value decomposition of the centred
data,

.. math:: X - \mu = U S V^\top, \qquad y = (x - \mu)\, V_k, \qquad \hat x = y\, V_k^\top + \mu

(Hotelling 1933, "Analysis of a complex of statistical variables into principal
components"). The decomposition is taken in float64 from a triangle: blocks of
rows are folded one after the other into the factor R of a QR decomposition
(Demmel et al. 2012, "Communication-optimal parallel and sequential QR and LU
factorizations"), and :math:`R = Q' S V^\top` has the data's own S and V. That
keeps the accuracy of a decomposition of the data, where the covariance's
eigenvectors would lose every singular value below 1e-8 of the largest, at the
covariance's memory: besides the data 32 d^2 numbers or so (d^2 of R, a block of
max(4096, 4 d) rows and its factorisation), independent of the number of
samples.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from anomedge.components.buffers import (
    DynamicBufferModule,
    as_dtype_of,
    checked_dataset,
    is_scripting,
    plain_state,
)
from anomedge.components.scalars import number
from anomedge.errors import InputError

__all__ = ["PCA"]

_ROWS_AT_ONCE = 4096


class PCA(DynamicBufferModule):
    """Project onto the directions of largest variance.

    Args:
        n_components: k, a whole number of at least 1, or the share of the
            variance to explain, in (0, 1]: then k is the smallest number whose
            share is above it, and min(N, d) for 1.0. The integer 1 is one
            component. Components beyond the rank of the centred data, at most N
            - 1, are arbitrary orthogonal directions.

    Attributes:
        singular_vectors: V_k, (d, k). In each column the entry of largest
            absolute value is positive, which is scikit-learn's convention, so
            that the same data always have the same components.
        singular_values: S_k, (k,), of the centred data, largest first; NaN
            after loading a state_dict without them.
        mean: (d,).
        num_components: k, (1,), int64.

    All are buffers in the data's dtype, empty before `fit`, under anomalib's
    names: its state_dicts load. Features of another dtype are computed in the
    wider of the two.

    Raises:
        InputError: an invalid n_components.

    Example:
        >>> data = torch.tensor([[1.0, 0.0], [3.0, 0.0], [5.0, 1.0], [7.0, 1.0]])
        >>> pca = PCA(n_components=1)
        >>> pca.fit_transform(data).flatten()
        tensor([-3.0396, -1.0792,  1.0792,  3.0396])
        >>> pca.singular_values
        tensor([4.5616])
        >>> pca.inverse_transform(pca(data))[0]
        tensor([ 1.0205, -0.1017])
        >>> PCA(0.9).fit_transform(data).shape
        torch.Size([4, 1])
    """

    singular_vectors: Tensor
    singular_values: Tensor
    mean: Tensor
    num_components: Tensor

    @plain_state
    def __init__(self, n_components: int | float) -> None:
        super().__init__()
        expected = "a whole number >= 1 or a share in (0, 1]"
        self.n_components = number(n_components, "n_components", expected)
        is_count = isinstance(self.n_components, int)
        if (
            self.n_components < 1
            if is_count
            else not 0 < self.n_components <= 1
        ):
            raise InputError(
                f"got n_components={n_components}; expected {expected}"
            )
        self.register_buffer("singular_vectors", torch.empty(0))
        self.register_buffer("singular_values", torch.empty(0))
        self.register_buffer("mean", torch.empty(0))
        self.register_buffer(
            "num_components", torch.empty(0, dtype=torch.int64)
        )

    @plain_state
    def fit(self, dataset: Tensor) -> None:
        """Compute mean and components of a dataset (N, d).

        Raises:
            InputError: not (N, d) of at least two finite rows; more components
                than min(N, d); a share of the variance of data that have none.
        """
        checked_dataset(dataset)
        if self.n_components > min(dataset.shape):
            raise InputError(
                f"got {self.n_components} components of a dataset {tuple(dataset.shape)}; expected at most "
                f"{min(dataset.shape)}: ask for fewer or give more samples"
            )
        mean = _mean(dataset)
        _, values, rows = torch.linalg.svd(
            _triangle(dataset, mean), full_matrices=False
        )
        kept = self._kept(values)
        vectors = _with_fixed_signs(rows[:kept].T)
        self.num_components = torch.tensor([kept], device=dataset.device)
        self.singular_vectors = vectors.to(dataset.dtype).contiguous()
        self.singular_values = values[:kept].to(dataset.dtype)
        self.mean = mean.to(dataset.dtype)

    def fit_transform(self, dataset: Tensor) -> Tensor:
        """Fit to a dataset and transform it, (N, d) to (N, k)."""
        self.fit(dataset)
        return self.transform(dataset)

    def transform(self, features: Tensor) -> Tensor:
        """Return coordinates along the components, (B, d) to (B, k); NaN stays NaN.

        Raises:
            InputError: before `fit`, or other sizes than (B, d).
        """
        if not is_scripting():
            self._check(features, width=0)
        centred = features - self.mean
        return torch.matmul(
            centred, as_dtype_of(self.singular_vectors, centred)
        )

    def inverse_transform(self, features: Tensor) -> Tensor:
        """Return points in the original space, (B, k) to (B, d).

        Raises:
            InputError: before `fit`, or other sizes than (B, k).
        """
        self._check(features, width=1)
        dtype = torch.promote_types(features.dtype, self.mean.dtype)
        return (
            torch.matmul(features.to(dtype), self.singular_vectors.mT.to(dtype))
            + self.mean
        )

    def forward(self, features: Tensor) -> Tensor:
        """Do the same as `transform`."""
        return self.transform(features)

    def extra_repr(self) -> str:
        """Format the number or share of components."""
        return f"n_components={self.n_components}"

    def _kept(self, values: Tensor) -> int:
        """Return k: the given number, or the smallest with more than the share."""
        if isinstance(self.n_components, int):
            return self.n_components
        shares = values.square().cumsum(dim=0) / values.square().sum()
        if bool(torch.isnan(shares).any()):
            raise InputError(
                "got a dataset without variance; expected rows that differ to explain a share of it"
            )
        return min(int((shares <= self.n_components).sum()) + 1, len(values))

    def _check(self, features: Tensor, width: int) -> None:
        if self.singular_vectors.numel() == 0:
            raise InputError(
                "got a PCA before fit; expected components: call fit, or load a fitted state_dict"
            )
        if (
            features.ndim != 2
            or features.shape[1] != self.singular_vectors.shape[width]
        ):
            expected = self.singular_vectors.shape[width]
            raise InputError(
                f"got features {tuple(features.shape)}; expected (B, {expected})"
            )

    @plain_state
    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Also load a state of anomalib, without singular values; they become NaN."""
        vectors, values = (
            state_dict.get(prefix + "singular_vectors"),
            prefix + "singular_values",
        )
        if (
            vectors is not None
            and vectors.ndim == 2
            and values not in state_dict
        ):
            state_dict = {
                **state_dict,
                values: vectors.new_full((vectors.shape[1],), torch.nan),
            }
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _blocks(dataset: Tensor) -> Iterator[Tensor]:
    """Yield blocks of rows in float64; a copy of all rows would need much memory."""
    at_once = max(_ROWS_AT_ONCE, 4 * dataset.shape[1])
    for start in range(0, dataset.shape[0], at_once):
        yield dataset[start : start + at_once].double()


def _mean(dataset: Tensor) -> Tensor:
    """Return the mean row, float64."""
    total = torch.zeros(
        dataset.shape[1], dtype=torch.float64, device=dataset.device
    )
    for block in _blocks(dataset):
        total += block.sum(dim=0)
    return total / dataset.shape[0]


def _triangle(dataset: Tensor, mean: Tensor) -> Tensor:
    """Return R with R^T R = (X - mean)^T (X - mean), at most (d, d)."""
    width = dataset.shape[1]
    triangle = mean.new_empty(0, width)
    for block in _blocks(dataset):
        rows = torch.cat([triangle, block - mean])
        triangle = (
            torch.linalg.qr(rows, mode="r").R if rows.shape[0] > width else rows
        )
    return triangle


def _with_fixed_signs(vectors: Tensor) -> Tensor:
    """Flip columns so that the entry of largest absolute value is positive."""
    largest = vectors.abs().argmax(dim=0, keepdim=True)
    return vectors * vectors.gather(0, largest).sign()
