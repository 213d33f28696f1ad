r"""A multivariate Gaussian at every patch, and the Mahalanobis distance to it.

.. math:: d(x)^2 = (x - \mu)^\top \Sigma^{-1} (x - \mu) = \lVert W (x - \mu) \rVert^2, \qquad
          \Sigma = L L^\top,\; W = L^{-1}

with :math:`\Sigma` the sample covariance plus 0.01 I (Defard et al. 2020, "PaDiM: a Patch Distribution Modeling
Framework for Anomaly Detection and Localization", arXiv:2011.08785, section III.B). Only the whitening W is stored:
a sum of squares is never negative, so no root of rounding noise can become NaN.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from anomedge.components.moments import RunningMoments
from anomedge.errors import InputError

__all__ = ["MultiVariateGaussian"]

_REGULARISATION = 0.01
_PATCHES_AT_ONCE = 256


class MultiVariateGaussian(nn.Module):
    """Mean (d, P) and whitening (P, d, d, lower triangular) of d features at P patches.

    Args:
        n_features: d.
        n_patches: P.

    Example:
        >>> gaussian = MultiVariateGaussian(n_features=1, n_patches=1)
        >>> mean, inverse = gaussian.fit(torch.tensor([1.0, 3.0, 5.0]).reshape(3, 1, 1, 1))
        >>> mean.item(), round(inverse.item(), 6)
        (3.0, 0.249377)
        >>> round(gaussian.distance(torch.tensor([[[5.0]]])).item(), 5)
        0.99875
    """

    mean: Tensor
    whitening: Tensor

    def __init__(self, n_features: int, n_patches: int) -> None:
        super().__init__()
        if n_features < 1 or n_patches < 1:
            raise InputError(f"got {n_features} features, {n_patches} patches; expected at least one of each")
        self.register_buffer("mean", torch.zeros(n_features, n_patches))
        self.register_buffer("whitening", torch.eye(n_features).repeat(n_patches, 1, 1))

    @staticmethod
    def _cov(
        observations: Tensor,
        rowvar: bool = False,
        bias: bool = False,
        ddof: int | None = None,
        aweights: Tensor | None = None,
    ) -> Tensor:
        """Covariance of observations (N, d), or of variables in rows (d, N) with `rowvar`, as `numpy.cov` has it.

        Raises:
            InputError: more than two dimensions.
        """
        if observations.ndim > 2:
            raise InputError(f"got {observations.ndim} dimensions; expected at most 2, (N, d)")
        variables = observations if rowvar or observations.ndim < 2 else observations.mT
        correction = ddof if ddof is not None else int(not bias)
        return torch.cov(variables, correction=correction, aweights=aweights)

    def forward(self, embedding: Tensor) -> list[Tensor]:
        """Fit to embedding (N, d, h, w), P = h w; returns [mean (d, P), inverse covariance (P, d, d)]."""
        features, patches = self.mean.shape
        if embedding.ndim != 4:
            raise InputError(f"got an embedding {tuple(embedding.shape)}; expected (N, {features}, h, w)")
        moments = RunningMoments(features, patches)
        moments.update(embedding.flatten(2))
        self.fit_moments(moments)
        return [self.mean, self.inv_covariance]

    def fit(self, embedding: Tensor) -> list[Tensor]:
        """Same as `forward`."""
        return self.forward(embedding)

    def fit_moments(self, moments: RunningMoments) -> None:
        """Take mean and whitening from running sums; Cholesky factors and triangular solves, in float64."""
        features, patches = self.mean.shape
        self.mean = moments.mean.T.to(self.mean).contiguous()
        identity = torch.eye(features, dtype=torch.float64)
        whitening = torch.empty_like(self.whitening)
        for start in range(0, patches, _PATCHES_AT_ONCE):
            stop = start + _PATCHES_AT_ONCE
            covariance = moments.covariance(start, stop) + _REGULARISATION * identity
            factor = torch.linalg.cholesky(covariance)
            whitening[start:stop] = torch.linalg.solve_triangular(factor, identity, upper=False)
        self.whitening = whitening

    @property
    def inv_covariance(self) -> Tensor:
        """W^T W, shape (P, d, d)."""
        return self.whitening.mT @ self.whitening

    def distance(self, embedding: Tensor) -> Tensor:
        """Mahalanobis distance, (B, d, P) to (B, P), in the features' own units of standard deviations, >= 0."""
        centred = (embedding - self.mean).permute(2, 0, 1)
        whitened = torch.matmul(centred, self.whitening.mT)
        return whitened.square().sum(dim=2).sqrt().T

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Also take `inv_covariance`, under which others store the same statistics."""
        inverse, own = prefix + "inv_covariance", prefix + "whitening"
        if inverse in state_dict and own not in state_dict:
            state_dict = dict(state_dict)
            state_dict[own] = _whitening_of(state_dict.pop(inverse))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _whitening_of(inverse: Tensor) -> Tensor:
    """Lower triangular W with W^T W = P: the Cholesky factor of the reversed matrix, reversed back."""
    factor: Tensor = torch.linalg.cholesky(inverse.double().flip(-1, -2))
    return factor.flip(-1, -2).mT.to(inverse).contiguous()
