r"""Running mean and covariance of a stream at many places.

With a shift :math:`s` (the mean of the first pictures) and :math:`y = x - s`,

.. math:: \mu = s + \tfrac1N \sum y, \qquad
          \Sigma = \frac{1}{N-1}\Big(\sum y y^\top - \tfrac1N \big(\sum y\big)\big(\sum y\big)^\top\Big)

Sums are kept in float64; the shift keeps the two terms from cancelling (Chan,
Golub and LeVeque 1983, "Algorithms for computing the sample variance"). Memory
is P d^2, independent of the number of images.

For few pictures, memory traffic of the sums dominates. Pictures are therefore
buffered and added together, for a block of places at a time that fits the
cache.
"""

import torch
from torch import Tensor

from anomedge.components.buffers import plain_state
from anomedge.components.scalars import whole
from anomedge.errors import InputError

__all__ = ["RunningMoments"]

# Pictures added to the sums together.
_KEPT = 100
# Largest number of elements of a block of products or pictures.
_BLOCK = 1 << 19


class RunningMoments:
    """Running mean and covariance at P places of vectors of d features.

    Args:
        n_features: d.
        n_patches: P.

    Attributes:
        count: observations at each place.

    Memory is 8 P d^2 bytes of sums, at most 99 buffered pictures and a copy of
    the batch.

    Raises:
        InputError: a size below 1.

    Example:
        >>> moments = RunningMoments(n_features=1, n_patches=1)
        >>> moments.update(torch.tensor([[[1.0]], [[3.0]]]))
        >>> moments.update(torch.tensor([[[5.0]]]))
        >>> moments.mean.item(), moments.covariance().item()
        (3.0, 4.0)
    """

    @plain_state
    def __init__(self, n_features: int, n_patches: int) -> None:
        n_features = whole(n_features, "n_features")
        n_patches = whole(n_patches, "n_patches")
        self.count = 0
        self._kept: list[Tensor] = []
        self._summed = 0
        self._shift = torch.zeros(n_patches, n_features, dtype=torch.float64)
        self._sum = torch.zeros(n_patches, n_features, dtype=torch.float64)
        self._products = torch.zeros(
            n_patches, n_features, n_features, dtype=torch.float64
        )

    @plain_state
    def update(self, observations: Tensor) -> None:
        """Add a batch of observations (B, d, P).

        Raises:
            InputError: other sizes than (d, P), or a value that is not finite.
        """
        patches, features = self._sum.shape
        if observations.ndim != 3 or observations.shape[1:] != (
            features,
            patches,
        ):
            raise InputError(
                f"got observations {tuple(observations.shape)}; expected (B, {features}, {patches})"
            )
        # Check the sum first; it is cheaper, but may overflow for finite terms.
        if not bool(torch.isfinite(observations.sum())) and not bool(
            torch.isfinite(observations).all()
        ):
            raise InputError(
                "got an embedding that is not finite; expected numbers: check pictures and weights"
            )
        for pictures in torch.split(observations.detach(), _KEPT):
            # (P, B, d): transposing as a matrix is several times faster.
            turned = pictures.flatten(0, 1).mT.clone(
                memory_format=torch.contiguous_format
            )
            self._kept.append(turned.reshape(patches, -1, features))
            self.count += len(pictures)
            if self.count - self._summed >= _KEPT:
                self._add()

    @property
    @plain_state
    def mean(self) -> Tensor:
        """Mean (P, d), float64; NaN before the first observation."""
        self._add()
        return self._shift + self._sum / self.count

    @plain_state
    def covariance(self, start: int = 0, stop: int | None = None) -> Tensor:
        """Return the unbiased covariance of places [start, stop), (n, d, d), float64.

        Raises:
            InputError: fewer than two observations.
        """
        if self.count < 2:
            raise InputError(
                f"got {self.count} pictures; expected at least 2 to have a covariance: give more pictures"
            )
        self._add()
        total = self._sum[start:stop]
        centred = torch.baddbmm(
            self._products[start:stop],
            total[:, :, None],
            total[:, None, :],
            alpha=-1 / self.count,
        )
        return centred.div_(self.count - 1)

    @plain_state
    def take_scatter(self) -> Tensor:
        """Return the sums of products around the mean, (P, d, d), float64.

        They are moved out, not copied; the moments cannot be used afterwards.
        """
        self._add()
        total, products = self._sum, self._products
        self._products = products.new_zeros(0)
        return products.baddbmm_(
            total[:, :, None], total[:, None, :], alpha=-1 / self.count
        )

    def _add(self) -> None:
        """Add the buffered pictures to the sums."""
        patches, features = self._sum.shape
        pictures = self.count - self._summed
        if not pictures:
            return
        step = max(1, _BLOCK // (features * max(features, pictures)))
        for start in range(0, patches, step):
            at = slice(start, start + step)
            x = torch.cat([kept[at] for kept in self._kept], dim=1).double()
            if not self._summed:
                self._shift[at] = x.mean(dim=1)
            x -= self._shift[at, None]
            self._sum[at] += x.sum(dim=1)
            self._products[at].baddbmm_(x.mT, x)
        self._kept, self._summed = [], self.count
