r"""A multivariate Gaussian at every patch, and the Mahalanobis distance.

.. math:: d(x)^2 = (x - \mu)^\top \Sigma^{-1} (x - \mu) = \lVert W (x - \mu) \rVert^2, \qquad
          \Sigma = L L^\top,\; W = L^{-1}

with :math:`\Sigma` the sample covariance plus 0.01 I (Defard et al. 2020,
"PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and
Localization", arXiv:2011.08785, section III.B). Only the whitening W is stored:
a sum of squares is never negative, so no root of rounding noise can become NaN.
W is lower triangular; of its upper half of rows only the left half of columns
is kept, so a quarter of W is neither stored nor read.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from anomedge.components.buffers import as_dtype_of, plain_state
from anomedge.components.estimators.moments import RunningMoments
from anomedge.components.scalars import whole
from anomedge.errors import InputError
from anomedge.progress import track

__all__ = ["MultiVariateGaussian"]

REGULARISATION = 0.01
"""Added to the variances (Defard et al. 2020, section III.B)."""
_PATCHES_AT_ONCE = 256
# More blocks mean less memory traffic and more products; two blocks have 3/4 of W.
_ROW_BLOCKS = 2


class MultiVariateGaussian(nn.Module):
    """Mean (d, P) and whitening (P, d, d, lower triangular) of d features at P patches.

    Args:
        n_features: d; None to infer d and P from the data fitted or the
            state_dict loaded, as anomalib 2 does.
        n_patches: P; None if and only if n_features is None.

    Attributes:
        mean: (d, P), a buffer; (0, 0) until the sizes are inferred.
        whitening: W, (P, d, d), assembled on access.
        inv_covariance: W^T W, (P, d, d), computed on access.

    W is stored as blocks of rows, transposed for the product: `rows0`, `rows1`,
    ... of shape (P, columns, rows), without columns that are zero in all rows. A
    state_dict of anomalib, with `inv_covariance` instead, also loads. A fit
    needs 8 P d^2 bytes of float64 sums, independent of the number of images, and
    3 P d^2 bytes each for the old and the new W: 330 and twice 120 MB for 100
    features at 4,096 patches. To fit a stream, use `RunningMoments` and
    `fit_moments`.

    Raises:
        InputError: a size below 1, or only one of the two sizes given.

    Example:
        >>> gaussian = MultiVariateGaussian(n_features=1, n_patches=1)
        >>> mean, inverse = gaussian.fit(torch.tensor([1.0, 3.0, 5.0]).reshape(3, 1, 1, 1))
        >>> mean.item(), round(inverse.item(), 6)
        (3.0, 0.249377)
        >>> round(gaussian.distance(torch.tensor([[[5.0]]])).item(), 5)
        0.99875
    """

    mean: Tensor

    @plain_state
    def __init__(
        self, n_features: int | None = None, n_patches: int | None = None
    ) -> None:
        super().__init__()
        if (n_features is None) != (n_patches is None):
            raise InputError(
                f"got n_features={n_features}, n_patches={n_patches}; expected both, or neither: then the data fitted "
                "or loaded decide"
            )
        self._fitted = False
        self._sized = n_features is not None
        if self._sized:
            self._store(
                *_identities(
                    whole(n_features, "n_features"),
                    whole(n_patches, "n_patches"),
                )
            )
        else:
            self._store(torch.zeros(0, 0), [])

    @staticmethod
    def _cov(
        observations: Tensor,
        rowvar: bool = False,
        bias: bool = False,
        ddof: int | None = None,
        aweights: Tensor | None = None,
    ) -> Tensor:
        r"""Compute the covariance of observations (N, d), as `numpy.cov`.

        .. math:: C = \frac{\sum_i w_i (x_i - \bar x)(x_i - \bar x)^\top}{f}, \qquad
                  f = \sum_i w_i - \text{ddof} \frac{\sum_i w_i^2}{\sum_i w_i}

        Args:
            observations: (N, d); one dimension is one variable.
            rowvar: each row is a variable, each column an observation.
            bias: divide by N and not by N - 1; `ddof` overrides it.
            ddof: a whole number, taken off the number of observations.
            aweights: w, (N,), >= 0; all 1 when None.

        Returns:
            (d, d), or () for one variable, in the observations' dtype (integers
            in the default dtype), from float64. Without degrees of freedom
            left, f <= 0, it is inf or NaN, with a RuntimeWarning, as numpy has
            it.

        >>> MultiVariateGaussian._cov(torch.tensor([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])).tolist()
        [[1.0, 2.0], [2.0, 4.0]]

        Raises:
            InputError: more than two dimensions, a ddof that is not whole, or
                weights that are all 0, not N, or below 0.
        """
        if observations.ndim > 2:
            raise InputError(
                f"got {observations.ndim} dimensions; expected at most 2, (N, d)"
            )
        if ddof is not None and ddof != int(ddof):
            raise InputError(f"got ddof={ddof}; expected a whole number")
        x = observations.double()
        x = x.reshape(1, -1) if x.ndim < 2 else x if rowvar else x.mT
        weights = _weights(aweights, x)
        off = int(not bias) if ddof is None else ddof
        total = weights.sum()
        share = weights.square().sum() / total if aweights is not None else 1
        freedom = float(total - off * share) if off else float(total)
        if freedom <= 0:
            warnings.warn(
                "Degrees of freedom <= 0 for slice",
                RuntimeWarning,
                stacklevel=2,
            )
        centred = x - (x @ weights / total)[:, None]
        covariance: Tensor = (
            (centred * weights) @ centred.mT / x.new_tensor(max(freedom, 0.0))
        )
        dtype = (
            observations.dtype
            if observations.is_floating_point()
            else torch.get_default_dtype()
        )
        return covariance.squeeze().to(dtype)

    @plain_state
    def forward(self, embedding: Tensor) -> list[Tensor]:
        """Fit to an embedding (N, d, h, w), with P = h w.

        Returns:
            [mean (d, P), inverse covariance (P, d, d)].

        Raises:
            InputError: other sizes, fewer than two images, or a value that is
                not finite.
        """
        if embedding.ndim != 4:
            features = self.mean.shape[0] if self._sized else "d"
            raise InputError(
                f"got an embedding {tuple(embedding.shape)}; expected (N, {features}, h, w)"
            )
        sizes = (
            self.mean.shape if self._sized else embedding.flatten(2).shape[1:]
        )
        moments = RunningMoments(*sizes)
        moments.update(embedding.flatten(2))
        self.fit_moments(moments)
        return [self.mean, self.inv_covariance]

    def fit(self, embedding: Tensor) -> list[Tensor]:
        """Do the same as `forward`."""
        return self.forward(embedding)

    @plain_state
    def fit_moments(self, moments: RunningMoments) -> None:
        """Compute mean and whitening from running sums, in float64.

        Raises:
            InputError: sums of other sizes, of fewer than two images, or of
                features too large for float64 to tell apart.
        """
        mean = moments.mean.T
        features, patches = mean.shape
        if self._sized and mean.shape != self.mean.shape:
            raise InputError(
                f"got moments of {features} features at {patches} patches; "
                f"expected {self.mean.shape[0]} at {self.mean.shape[1]}"
            )
        identity = torch.eye(features, dtype=torch.float64)
        bounds = _row_bounds(features)
        blocks = [
            self.mean.new_empty(patches, stop, stop - start)
            for start, stop in bounds
        ]
        for start in track(
            range(0, patches, _PATCHES_AT_ONCE), "fitting the Gaussians"
        ):
            stop = start + _PATCHES_AT_ONCE
            covariance = moments.covariance(start, stop)
            covariance.diagonal(dim1=1, dim2=2).add_(REGULARISATION)
            factor = _factor_of(covariance)
            whitening = torch.linalg.solve_triangular(
                factor, identity, upper=False
            )
            for block, part in zip(blocks, _split(whitening), strict=True):
                block[start:stop] = part
        # Replace all at once, so that an interrupted fit changes nothing.
        self._store(mean.to(self.mean).contiguous(), blocks)
        self._fitted = True

    @property
    def whitening(self) -> Tensor:
        """W, lower triangular, (P, d, d)."""
        features, patches = self.mean.shape
        whole = self.mean.new_zeros(patches, features, features)
        for (start, stop), block in zip(
            self._bounds, self._blocks, strict=True
        ):
            whole[:, start:stop, :stop] = block.mT
        return whole

    @property
    def inv_covariance(self) -> Tensor:
        """W^T W, shape (P, d, d)."""
        whitening = self.whitening
        return whitening.mT @ whitening

    def distance(self, embedding: Tensor) -> Tensor:
        """Return the Mahalanobis distance (B, P) of an embedding (B, d, P).

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
        # (P, B, d): one batch of the product per patch.
        centred = embedding.permute(2, 0, 1) - self.mean.T[:, None, :]
        squares = [
            torch.matmul(centred[:, :, :stop], as_dtype_of(block, centred))
            .square()
            .sum(dim=2)
            for (_, stop), block in zip(self._bounds, self._blocks, strict=True)
        ]
        return sum(squares[1:], start=squares[0]).sqrt().T

    @property
    def _blocks(self) -> list[Tensor]:
        return [
            self.get_buffer(f"rows{block}")
            for block in range(len(self._bounds))
        ]

    def _store(self, mean: Tensor, blocks: Sequence[Tensor]) -> None:
        """Replace the buffers; d and P determine their number and shapes."""
        for name in [name for name in self._buffers if name.startswith("rows")]:
            del self._buffers[name]
        self._bounds = _row_bounds(mean.shape[0])
        self.register_buffer("mean", mean)
        for number, block in enumerate(blocks):
            self.register_buffer(f"rows{number}", block)

    @plain_state
    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Also load anomalib's `inv_covariance`; infer sizes that are not given."""
        mean, inverse, own = (
            state_dict.get(prefix + name)
            for name in ("mean", "inv_covariance", "rows0")
        )
        if (
            not self._sized
            and isinstance(mean, Tensor)
            and mean.ndim == 2
            and mean.numel()
        ):
            loaded_mean, blocks = _identities(*mean.shape)
            self._store(
                loaded_mean.to(self.mean),
                [block.to(self.mean) for block in blocks],
            )
        if isinstance(inverse, Tensor) and inverse.ndim == 3 and own is None:
            state_dict = dict(state_dict)
            del state_dict[prefix + "inv_covariance"]
            for block, rows in enumerate(_split(_whitening_of(inverse))):
                state_dict[f"{prefix}rows{block}"] = rows.contiguous()
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._fitted = self._fitted or f"{prefix}rows0" in state_dict


def _row_bounds(features: int) -> list[tuple[int, int]]:
    """Return the row range [start, stop) of each block of W."""
    height = max(1, -(-features // _ROW_BLOCKS))
    return [
        (start, min(start + height, features))
        for start in range(0, features, height)
    ]


def _split(whitening: Tensor) -> list[Tensor]:
    """Split W, (..., d, d), into the blocks in which it is stored."""
    return [
        whitening[..., start:stop, :stop].mT
        for start, stop in _row_bounds(whitening.shape[-1])
    ]


def _identities(features: int, patches: int) -> tuple[Tensor, list[Tensor]]:
    """Return the initial state: mean 0 and the blocks of W = I."""
    identity = torch.eye(features).expand(patches, features, features)
    return torch.zeros(features, patches), [
        block.contiguous() for block in _split(identity)
    ]


def _weights(given: Tensor | None, variables: Tensor) -> Tensor:
    """Return one weight for each observation, float64."""
    observations = variables.shape[1]
    if given is None:
        return variables.new_ones(observations)
    weights = torch.as_tensor(given).to(variables)
    if (
        weights.shape != (observations,)
        or bool((weights < 0).any())
        or not bool(weights.sum() > 0)
    ):
        raise InputError(
            f"got weights {tuple(weights.shape)}; expected {observations} numbers >= 0, not all 0"
        )
    return weights


def _factor_of(covariance: Tensor) -> Tensor:
    """Compute Cholesky factors (P, d, d); refuse singular covariances."""
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(covariance)
    variances = covariance.diagonal(dim1=1, dim2=2).amax(dim=1)
    # Below this, the conditional variance is rounding error.
    least = covariance.shape[1] * torch.finfo(torch.float64).eps * variances
    blurred = (failed != 0) | (
        factor.diagonal(dim1=1, dim2=2).amin(dim=1).square() < least
    )
    if blurred.any():
        raise InputError(
            f"got features that float64 cannot tell apart at {int(blurred.sum())} patches, with variances up to "
            f"{float(variances.max()):.3g}; expected some that {REGULARISATION:g} on the diagonal keeps apart: use trained weights or other layers"
        )
    return factor


def _whitening_of(inverse: Tensor) -> Tensor:
    """Return the lower triangular W with W^T W equal to the inverse covariance.

    W is the reversed Cholesky factor of the reversed matrix. An inverse that was
    computed in float32 is not quite symmetric; the distance depends on its
    symmetric part only.
    """
    whitening = torch.empty_like(inverse)
    for start in range(0, len(inverse), _PATCHES_AT_ONCE):
        part = inverse[start : start + _PATCHES_AT_ONCE].double()
        symmetric = (part + part.mT) / 2
        factor = torch.linalg.cholesky(symmetric.flip(-1, -2))
        whitening[start : start + len(part)] = factor.flip(-1, -2).mT
    return whitening
