r"""The Gaussian at every patch without some of its observations, as a low-rank change.

Of N observations with mean :math:`\mu` and scatter S, m are left out, :math:`n = N - m`. With :math:`e_i = x_i - \mu`
and their mean :math:`\bar e`,

.. math:: \mu' = \mu - \tfrac{m}{n} \bar e, \qquad
          S' = S - \sum_i e_i e_i^\top - \tfrac{m^2}{n} \bar e \bar e^\top

Let :math:`L L^\top = S + 0.01 (n - 1) I`, and V hold :math:`L^{-1} e_i` and :math:`\tfrac{m}{\sqrt n} L^{-1} \bar e`.
With :math:`z = L^{-1} (x - \mu')`, the distance without the observations is, by the Woodbury identity,

.. math:: d'^2 = (n - 1) \big(\lVert z \rVert^2 + z^\top V (I - V^\top V)^{-1} V^\top z\big)

so one factorisation serves all folds of one size (Cook and Weisberg 1982, "Residuals and influence in regression",
appendix A.2). All is float64: with few observations, :math:`I - V^\top V` is close to singular.
"""

import torch
from torch import Tensor, nn

from anomedge.components.estimators.gaussian import REGULARISATION
from anomedge.components.estimators.moments import RunningMoments
from anomedge.errors import InputError

__all__ = ["GaussianFolds", "GaussianWithout"]

_PATCHES_AT_ONCE = 256


class GaussianFolds:
    """The Gaussians of all observations but some, from the sums of all.

    Args:
        moments: the sums; they are moved out, so that memory stays 8 P d^2 bytes.
    """

    def __init__(self, moments: RunningMoments) -> None:
        self.count = moments.count
        self.mean = moments.mean
        # S, then the lower factor of S + 0.01 (degrees) I.
        self.factor = moments.take_scatter()
        self.degrees: int | None = None

    def without(self, observations: Tensor) -> "GaussianWithout":
        """Return the Gaussian without some observations (m, d, P).

        It shares the factor, so it is valid until the next call.

        Raises:
            InputError: none is left out, or fewer than two are left.
        """
        m, n = len(observations), self.count - len(observations)
        if m < 1 or n < 2:
            raise InputError(
                f"got {m} of {self.count} observations to leave out; expected at least one, and two others"
            )
        self._factorise(n - 1)
        centred = observations.permute(2, 1, 0) - self.mean[:, :, None]
        average = centred.mean(dim=2, keepdim=True)
        scaled = torch.cat([centred, average * (m / n**0.5)], dim=2)
        mean = self.mean - average[:, :, 0] * (m / n)
        changes = torch.linalg.solve_triangular(
            self.factor, scaled, upper=False
        )
        return GaussianWithout(mean, self.factor, changes, n - 1)

    def _factorise(self, degrees: int) -> None:
        """Factorise S + 0.01 `degrees` I in place."""
        if self.degrees == degrees:
            return
        more = REGULARISATION * (degrees - (self.degrees or 0))
        for block in torch.split(self.factor, _PATCHES_AT_ONCE):
            total = block if self.degrees is None else block @ block.mT
            total.diagonal(dim1=1, dim2=2).add_(more)
            block.copy_(torch.linalg.cholesky(total))
        self.degrees = degrees


class GaussianWithout(nn.Module):
    """The Mahalanobis distance to a Gaussian without some of its observations.

    Args:
        mean: of the other observations, (P, d).
        factor: L, (P, d, d).
        changes: V, (P, d, m + 1).
        degrees: n - 1.
    """

    def __init__(
        self, mean: Tensor, factor: Tensor, changes: Tensor, degrees: int
    ) -> None:
        super().__init__()
        self.mean, self.factor, self.changes = mean, factor, changes
        self.degrees = degrees
        identity = torch.eye(changes.shape[2], dtype=changes.dtype)
        self.gram = torch.linalg.cholesky(identity - changes.mT @ changes)

    def distance(self, embedding: Tensor) -> Tensor:
        """Return the distance (B, P) of an embedding (B, d, P)."""
        centred = embedding.permute(2, 1, 0) - self.mean[:, :, None]
        whitened = torch.linalg.solve_triangular(
            self.factor, centred, upper=False
        )
        along = self.changes.mT @ whitened
        solved = torch.linalg.solve_triangular(self.gram, along, upper=False)
        squares = whitened.square().sum(dim=1) + solved.square().sum(dim=1)
        distances: Tensor = (self.degrees * squares).sqrt().T
        return distances.to(embedding)
