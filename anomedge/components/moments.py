r"""Mean and covariance of a stream, for many places at once, from running sums.

With a shift :math:`s` (the mean of the first batch) and :math:`y = x - s`,

.. math:: \mu = s + \tfrac1N \sum y, \qquad
          \Sigma = \frac{1}{N-1}\Big(\sum y y^\top - \tfrac1N \big(\sum y\big)\big(\sum y\big)^\top\Big)

Sums are kept in float64; the shift keeps the two terms from cancelling (Chan, Golub and LeVeque 1983, "Algorithms for
computing the sample variance"). Memory is P d^2, whatever the number of images.
"""

import torch
from torch import Tensor

from anomedge.errors import InputError

__all__ = ["RunningMoments"]


class RunningMoments:
    """Running mean and covariance at P places of vectors of d features.

    Args:
        n_features: d.
        n_patches: P.

    Example:
        >>> moments = RunningMoments(n_features=1, n_patches=1)
        >>> moments.update(torch.tensor([[[1.0]], [[3.0]]]))
        >>> moments.update(torch.tensor([[[5.0]]]))
        >>> moments.mean.item(), moments.covariance().item()
        (3.0, 4.0)
    """

    def __init__(self, n_features: int, n_patches: int) -> None:
        self.count = 0
        self._shift = torch.zeros(n_patches, n_features, dtype=torch.float64)
        self._sum = torch.zeros(n_patches, n_features, dtype=torch.float64)
        self._products = torch.zeros(n_patches, n_features, n_features, dtype=torch.float64)

    def update(self, observations: Tensor) -> None:
        """Take in a batch, shape (B, d, P).

        Raises:
            InputError: other sizes than (d, P), or a value that is not finite.
        """
        patches, features = self._sum.shape
        if observations.ndim != 3 or observations.shape[1:] != (features, patches):
            raise InputError(f"got observations {tuple(observations.shape)}; expected (B, {features}, {patches})")
        # One place's vectors side by side: strided ones would make the product several times slower.
        x = observations.permute(2, 0, 1).to(self._sum).contiguous()
        if not bool(torch.isfinite(x).all()):
            raise InputError("got an embedding that is not finite; expected numbers: check pictures and weights")
        if self.count == 0:
            self._shift = x.mean(dim=1)
        x = x - self._shift[:, None, :]
        self._sum += x.sum(dim=1)
        self._products.baddbmm_(x.transpose(1, 2), x)
        self.count += x.shape[1]

    @property
    def mean(self) -> Tensor:
        """The mean, shape (P, d), float64; NaN before the first observation."""
        return self._shift + self._sum / self.count

    def covariance(self, start: int = 0, stop: int | None = None) -> Tensor:
        """The unbiased covariance of places start to stop, shape (stop - start, d, d), float64.

        Raises:
            InputError: fewer than two observations.
        """
        if self.count < 2:
            raise InputError(f"got {self.count} pictures; expected at least 2 to have a covariance: give more pictures")
        total = self._sum[start:stop]
        outer = total[:, :, None] * total[:, None, :] / self.count
        return (self._products[start:stop] - outer) / (self.count - 1)
