r"""A multivariate Gaussian at every patch, and the Mahalanobis distance to it.

.. math:: d(x)^2 = (x - \mu)^\top \Sigma^{-1} (x - \mu) = \lVert W (x - \mu) \rVert^2, \qquad
          \Sigma = L L^\top,\; W = L^{-1}

with :math:`\Sigma` the sample covariance plus 0.01 I (Defard et al. 2020, "PaDiM: a Patch Distribution Modeling
Framework for Anomaly Detection and Localization", arXiv:2011.08785, section III.B). Only the whitening W is stored:
a sum of squares is never negative, so no root of rounding noise can become NaN. W is lower triangular; of its upper
half of rows only the left half of columns is kept, so a quarter of W is neither stored nor read.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from anomedge.components.moments import RunningMoments
from anomedge.errors import InputError
from anomedge.progress import track

__all__ = ["MultiVariateGaussian"]

_REGULARISATION = 0.01
_PATCHES_AT_ONCE = 256
# More blocks are fewer bytes to read and more products to start; two read three quarters of W.
_ROW_BLOCKS = 2


class MultiVariateGaussian(nn.Module):
    """Mean (d, P) and whitening (P, d, d, lower triangular) of d features at P patches.

    Args:
        n_features: d.
        n_patches: P.

    Attributes:
        mean: (d, P), a buffer.
        whitening: W, (P, d, d), put together when asked for.
        inv_covariance: W^T W, (P, d, d), computed when asked for.

    W is stored as blocks of rows, each as it is multiplied: `rows0`, `rows1`, ... of shape (P, columns, rows), without
    the columns that are zero in all of its rows. A state_dict of anomalib loads: it has `inv_covariance` in their place.
    Memory of a fit is 8 P d^2 bytes of sums in float64, whatever the number of images, and 3 P d^2 of W, the old and the
    new: 330 and twice 120 MB for 100 features at 4,096 patches. A stream is fitted through `RunningMoments` and
    `fit_moments`.

    Raises:
        InputError: no feature or no patch.

    Example:
        >>> gaussian = MultiVariateGaussian(n_features=1, n_patches=1)
        >>> mean, inverse = gaussian.fit(torch.tensor([1.0, 3.0, 5.0]).reshape(3, 1, 1, 1))
        >>> mean.item(), round(inverse.item(), 6)
        (3.0, 0.249377)
        >>> round(gaussian.distance(torch.tensor([[[5.0]]])).item(), 5)
        0.99875
    """

    mean: Tensor

    def __init__(self, n_features: int, n_patches: int) -> None:
        super().__init__()
        if n_features < 1 or n_patches < 1:
            raise InputError(f"got {n_features} features, {n_patches} patches; expected at least one of each")
        self._fitted = False
        self.register_buffer("mean", torch.zeros(n_features, n_patches))
        height = -(-n_features // _ROW_BLOCKS)
        self._bounds = [(start, min(start + height, n_features)) for start in range(0, n_features, height)]
        for block, (start, stop) in enumerate(self._bounds):
            identity = torch.eye(stop)[:, start:]
            self.register_buffer(f"rows{block}", identity.repeat(n_patches, 1, 1))

    @staticmethod
    def _cov(
        observations: Tensor,
        rowvar: bool = False,
        bias: bool = False,
        ddof: int | None = None,
        aweights: Tensor | None = None,
    ) -> Tensor:
        r"""Covariance of observations (N, d), or of variables in rows (d, N) with `rowvar`, as `numpy.cov` has it.

        .. math:: C = \frac{\sum_i w_i (x_i - \bar x)(x_i - \bar x)^\top}{f}, \qquad
                  f = \sum_i w_i - \text{ddof} \frac{\sum_i w_i^2}{\sum_i w_i}

        Args:
            observations: (N, d); one dimension is one variable.
            rowvar: each row is a variable, each column an observation.
            bias: divide by N and not by N - 1; `ddof` overrides it.
            ddof: a whole number, taken off the number of observations.
            aweights: w, (N,), >= 0; all 1 when None.

        Returns:
            (d, d), or () for one variable, in the observations' dtype (integers in the default dtype), from float64.
            Without degrees of freedom left, f <= 0, it is inf or NaN, with a RuntimeWarning, as numpy has it.

        >>> MultiVariateGaussian._cov(torch.tensor([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])).tolist()
        [[1.0, 2.0], [2.0, 4.0]]

        Raises:
            InputError: more than two dimensions, a ddof that is not whole, or weights that are all 0, not N, or below 0.
        """
        if observations.ndim > 2:
            raise InputError(f"got {observations.ndim} dimensions; expected at most 2, (N, d)")
        if ddof is not None and ddof != int(ddof):
            raise InputError(f"got ddof={ddof}; expected a whole number")
        x = observations.double()
        x = x.reshape(1, -1) if x.ndim < 2 else x if rowvar else x.mT
        weights = _weights(aweights, x)
        off = int(not bias) if ddof is None else ddof
        total = weights.sum()
        freedom = float(total - off * (weights.square().sum() / total if aweights is not None and off else 1))
        if freedom <= 0:
            warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=2)
        centred = x - (x @ weights / total)[:, None]
        covariance: Tensor = (centred * weights) @ centred.mT / x.new_tensor(max(freedom, 0.0))
        dtype = observations.dtype if observations.is_floating_point() else torch.get_default_dtype()
        return covariance.squeeze().to(dtype)

    def forward(self, embedding: Tensor) -> list[Tensor]:
        """Fit to embedding (N, d, h, w), P = h w; returns [mean (d, P), inverse covariance (P, d, d)].

        Raises:
            InputError: other sizes, fewer than two images, or a value that is not finite.
        """
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
        """Take mean and whitening from running sums; Cholesky factors and triangular solves, in float64.

        Raises:
            InputError: sums of other sizes, of fewer than two images, or of features too large for float64 to tell apart.
        """
        features, patches = self.mean.shape
        if moments.mean.shape != (patches, features):
            raise InputError(
                f"got moments of {moments.mean.shape[1]} features at {moments.mean.shape[0]} patches; "
                f"expected {features} at {patches}"
            )
        identity = torch.eye(features, dtype=torch.float64)
        blocks = [torch.empty_like(block) for block in self._blocks]
        for start in track(range(0, patches, _PATCHES_AT_ONCE), "fitting the Gaussians"):
            stop = start + _PATCHES_AT_ONCE
            covariance = moments.covariance(start, stop)
            covariance.diagonal(dim1=1, dim2=2).add_(_REGULARISATION)
            factor = _factor_of(covariance)
            whitening = torch.linalg.solve_triangular(factor, identity, upper=False)
            for block, part in zip(blocks, self._split(whitening), strict=True):
                block[start:stop] = part
        # All at once, so that an interrupted fit leaves what there was.
        self.mean = moments.mean.T.to(self.mean).contiguous()
        for number, block in enumerate(blocks):
            setattr(self, f"rows{number}", block)
        self._fitted = True

    @property
    def whitening(self) -> Tensor:
        """W, lower triangular, (P, d, d)."""
        features, patches = self.mean.shape
        whole = self.mean.new_zeros(patches, features, features)
        for (start, stop), block in zip(self._bounds, self._blocks, strict=True):
            whole[:, start:stop, :stop] = block.mT
        return whole

    @property
    def inv_covariance(self) -> Tensor:
        """W^T W, shape (P, d, d)."""
        whitening = self.whitening
        return whitening.mT @ whitening

    def distance(self, embedding: Tensor) -> Tensor:
        """Mahalanobis distance, (B, d, P) to (B, P), in the features' own units of standard deviations, >= 0.

        Raises:
            InputError: before `fit`, or other sizes than (B, d, P).
        """
        if not self._fitted:
            raise InputError(
                "got a Gaussian before fit; expected its statistics: call fit, or load a fitted state_dict"
            )
        if embedding.ndim != 3 or embedding.shape[1:] != self.mean.shape:
            raise InputError(
                f"got an embedding {tuple(embedding.shape)}; expected (B, {', '.join(map(str, self.mean.shape))})"
            )
        # Patches first: a patch's features lie side by side, and its W is one batch of the product.
        centred = embedding.permute(2, 0, 1) - self.mean.T[:, None, :]
        squares = [
            torch.matmul(centred[:, :, :stop], block).square().sum(dim=2)
            for (_, stop), block in zip(self._bounds, self._blocks, strict=True)
        ]
        return sum(squares[1:], start=squares[0]).sqrt().T

    @property
    def _blocks(self) -> list[Tensor]:
        return [self.get_buffer(f"rows{block}") for block in range(len(self._bounds))]

    def _split(self, whitening: Tensor) -> list[Tensor]:
        """W, (..., d, d), as the blocks in which it is stored."""
        return [whitening[..., start:stop, :stop].mT for start, stop in self._bounds]

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Also take `inv_covariance`, under which others store the same statistics."""
        inverse, own = prefix + "inv_covariance", prefix + "rows0"
        if inverse in state_dict and own not in state_dict:
            state_dict = dict(state_dict)
            for block, rows in enumerate(self._split(_whitening_of(state_dict.pop(inverse)))):
                state_dict[f"{prefix}rows{block}"] = rows.contiguous()
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._fitted = self._fitted or own in state_dict


def _weights(given: Tensor | None, variables: Tensor) -> Tensor:
    """One weight for each observation, a column of the variables; float64."""
    observations = variables.shape[1]
    if given is None:
        return variables.new_ones(observations)
    weights = torch.as_tensor(given).to(variables)
    if weights.shape != (observations,) or bool((weights < 0).any()) or not bool(weights.sum() > 0):
        raise InputError(f"got weights {tuple(weights.shape)}; expected {observations} numbers >= 0, not all 0")
    return weights


def _factor_of(covariance: Tensor) -> Tensor:
    """Cholesky factors, of (P, d, d)."""
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(covariance)
    variances = covariance.diagonal(dim1=1, dim2=2).amax(dim=1)
    # What is left of a variance beside the others' is rounding alone below this.
    least = covariance.shape[1] * torch.finfo(torch.float64).eps * variances
    blurred = (failed != 0) | (factor.diagonal(dim1=1, dim2=2).amin(dim=1).square() < least)
    if blurred.any():
        raise InputError(
            f"got features that float64 cannot tell apart at {int(blurred.sum())} patches, with variances up to "
            f"{float(variances.max()):.3g}; expected some that {_REGULARISATION:g} on the diagonal keeps apart: use trained weights or other layers"
        )
    return factor


def _whitening_of(inverse: Tensor) -> Tensor:
    """Lower triangular W with W^T W = P: the Cholesky factor of the reversed matrix, reversed back."""
    factor: Tensor = torch.linalg.cholesky(inverse.double().flip(-1, -2))
    return factor.flip(-1, -2).mT.to(inverse).contiguous()
