r"""Gaussian kernel density estimation.

With N samples :math:`x_i` of d features and their covariance :math:`\Sigma`,

.. math:: p(x) = \frac1N \sum_i \mathcal N\big(x;\, x_i,\, h^2 \Sigma\big), \qquad h = N^{-1/(d+4)}

(Scott 1992, "Multivariate density estimation"). With a whitening B,
:math:`B B^\top = (h^2 \Sigma)^{-1}`, the samples :math:`m_i = (x_i - \mu) B`
and the query :math:`q = (x - \mu) B`, the logarithm is

.. math:: \log p(x) = \log \sum_i \exp\!\Big(q \cdot m_i - \tfrac12 \lVert m_i \rVert^2\Big) - \tfrac12 \lVert q \rVert^2
          + \log \lvert B \rvert - \tfrac d2 \log 2\pi - \log N

The largest term is factored out of the sum, so the sum is at least 1 and its
logarithm is finite.
"""

import math
from collections.abc import Mapping
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
from anomedge.errors import InputError

__all__ = ["GaussianKDE"]


class GaussianKDE(DynamicBufferModule):
    """Density of points under kernels on the samples.

    `log_density` gives scores, `forward` the density.

    Samples and queries are centred with the same mean, so results do not depend
    on the location of the data.

    Args:
        dataset: samples to fit to at once, (N, d).

    Attributes:
        bw_transform: B, (d, d).
        dataset: the whitened samples m_i, (N, d).
        mean: (d,); zero for a state_dict of anomalib, which has no mean.
        norm: |B| (2 pi)^(-d/2), for compatibility: in float32 it underflows to
            0 for many features.
        log_norm: its logarithm, which is used in the density.

    All are buffers in the data's dtype, empty before `fit`; queries of another
    dtype are computed in the wider of the two. Memory of a query is B N
    numbers, twice.

    Raises:
        InputError: a dataset that `fit` refuses.

    Example:
        >>> kde = GaussianKDE(torch.tensor([[0.0], [1.0], [2.0]]))
        >>> kde(torch.tensor([[1.0], [50.0]]))
        tensor([0.3182, 0.0000])
        >>> [round(value, 2) for value in kde.log_density(torch.tensor([[1.0], [50.0]])).tolist()]
        [-1.15, -1789.52]
    """

    bw_transform: Tensor
    dataset: Tensor
    mean: Tensor
    norm: Tensor
    log_norm: Tensor

    @plain_state
    def __init__(self, dataset: Tensor | None = None) -> None:
        super().__init__()
        for name in ("bw_transform", "dataset", "mean", "norm", "log_norm"):
            self.register_buffer(name, torch.empty(0))
        if dataset is not None:
            self.fit(dataset)

    def forward(self, features: Tensor) -> Tensor:
        """Return the density at each point, (B, d) to (B,); NaN if a feature is NaN.

        It underflows to 0 far from the data (below 1e-45 in float32): rank and
        threshold `log_density` instead.

        Raises:
            InputError: before `fit`, or other sizes than (B, d).
        """
        return self.log_density(features).exp()

    def log_density(self, features: Tensor) -> Tensor:
        """Return the log-density at each point, (B, d) to (B,).

        It is finite if |q|^2 is finite, and NaN if a feature is NaN.

        Raises:
            InputError: before `fit`, or other sizes than (B, d).
        """
        if not is_scripting():
            self._check(features)
        centred = features - self.mean
        samples = as_dtype_of(self.dataset, centred)
        queries = torch.matmul(centred, as_dtype_of(self.bw_transform, centred))
        exponents = (
            torch.matmul(queries, samples.mT) - samples.square().sum(dim=1) / 2
        )
        largest = exponents.amax(dim=1, keepdim=True)
        total = (exponents - largest).exp().sum(dim=1).log() + largest.squeeze(
            1
        )
        return (
            total
            - queries.square().sum(dim=1) / 2
            + (self.log_norm - math.log(self.dataset.shape[0]))
        )

    @plain_state
    def fit(self, dataset: Tensor) -> None:
        """Fit to samples (N, d); bandwidth by Scott's rule, in float64.

        Raises:
            InputError: not (N, d) of at least two finite rows, or a covariance
                without an inverse: no more samples than features, a constant
                feature, or one that is a sum of others.
        """
        samples, features = checked_dataset(dataset).shape
        mean = dataset.mean(dim=0, dtype=torch.float64)
        covariance = self.cov(dataset.double().T)
        factor = samples ** (-1 / (features + 4)) * _cholesky(
            covariance, samples
        )
        identity = torch.eye(
            features, dtype=torch.float64, device=dataset.device
        )
        bandwidth = torch.linalg.solve_triangular(
            factor, identity, upper=False
        ).T
        log_norm = _log_norm(bandwidth)
        self.bw_transform = bandwidth.to(dataset.dtype).contiguous()
        self.dataset = ((dataset.double() - mean) @ bandwidth).to(dataset.dtype)
        self.mean = mean.to(dataset.dtype)
        self.norm = log_norm.exp().to(dataset.dtype)
        self.log_norm = log_norm.to(dataset.dtype)

    @staticmethod
    def cov(tensor: Tensor, bias: bool = False) -> Tensor:
        """Covariance of d variables in rows, (d, N) to (d, d), divided by N - 1, or by N with `bias`.

        >>> GaussianKDE.cov(torch.tensor([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]])).tolist()
        [[1.0, 2.0], [2.0, 4.0]]

        Raises:
            InputError: not (d, N), or fewer than two samples (one with `bias`).
        """
        if tensor.ndim != 2 or tensor.shape[1] < 2 - int(bias):
            raise InputError(
                f"got a tensor {tuple(tensor.shape)}; expected (d, N) with at least 2 samples"
            )
        centred = tensor - tensor.mean(dim=1, keepdim=True)
        return centred @ centred.T / (tensor.shape[1] - int(not bias))

    def _check(self, features: Tensor) -> None:
        if self.dataset.numel() == 0:
            raise InputError(
                "got a GaussianKDE before fit; expected samples: call fit, or load a fitted state_dict"
            )
        if features.ndim != 2 or features.shape[1] != self.dataset.shape[1]:
            raise InputError(
                f"got features {tuple(features.shape)}; expected (B, {self.dataset.shape[1]})"
            )

    @plain_state
    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Also load a state of anomalib, without mean and log_norm."""
        bandwidth = state_dict.get(prefix + "bw_transform")
        if isinstance(bandwidth, Tensor) and bandwidth.ndim == 2:
            derived = {
                prefix + "mean": bandwidth.new_zeros(bandwidth.shape[0]),
                prefix + "log_norm": _log_norm(bandwidth.double()).to(
                    bandwidth
                ),
            }
            state_dict = {**derived, **state_dict}
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _log_norm(bandwidth: Tensor) -> Tensor:
    """Return log |B| - d/2 log(2 pi) of a triangular B."""
    determinant: Tensor = bandwidth.diagonal().log().sum()
    return determinant - bandwidth.shape[0] / 2 * math.log(2 * math.pi)


def _cholesky(covariance: Tensor, samples: int) -> Tensor:
    """Return the lower Cholesky factor.

    Its squared pivots are conditional variances, given the previous features.

    Raises:
        InputError: a singular covariance.
    """
    features = covariance.shape[0]
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(covariance)
    rounding = (
        10 * features * torch.finfo(torch.float64).eps * covariance.diagonal()
    )
    if (
        samples <= features
        or bool(failed)
        or bool((factor.diagonal().square() <= rounding).any())
    ):
        raise InputError(
            f"got {samples} samples of {features} features with a singular covariance; expected more samples than "
            f"features, none constant or a sum of others: give more samples, or project with PCA first"
        )
    return factor
