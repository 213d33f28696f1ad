r"""Greedy k-center selection: a subset that leaves no point far from a chosen one.

.. math:: s_{t+1} = \arg\max_i \min_{j \le t} \lVert x_i - x_{s_j} \rVert

A 2-approximation of the smallest covering radius (Sener and Savarese 2018, "Active learning for convolutional neural
networks: a core-set approach", arXiv:1708.00489); PatchCore's memory bank (Roth et al. 2022, arXiv:2106.08265).
Selection runs on the features themselves, not on a random projection of them, and never touches the global random
state.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from anomedge.errors import InputError
from anomedge.progress import track

__all__ = ["KCenterGreedy", "NoCentreError"]


class NoCentreError(InputError, TypeError):
    """Distances were asked of a selection without a centre; a `TypeError`, as anomalib raises."""


class KCenterGreedy:
    """Select `int(N * sampling_ratio)` of N rows, at least one.

    Args:
        embedding: N points of d features, (N, d).
        sampling_ratio: share to select, in (0, 1].
        seed: of the first centre, when none is given.

    Attributes:
        embedding: the points given.
        n_observations: N.
        coreset_size: number to select.
        features: what distances are taken between: the points less their mean, (N, d).
        min_distances: squared distance of each point to its nearest centre, (N,), -inf for a centre; None without one.

    Besides the points, memory is another copy of them and three times N numbers.

    Raises:
        InputError: no points, not (N, d), a value that is not finite, or a ratio outside (0, 1].

    Example:
        >>> points = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
        >>> KCenterGreedy(points, 0.5).select_coreset_idxs([0])
        [3, 1]
    """

    def __init__(self, embedding: Tensor, sampling_ratio: float, *, seed: int = 0) -> None:
        if embedding.ndim != 2 or embedding.numel() == 0:
            raise InputError(f"got an embedding {tuple(embedding.shape)}; expected (N, d) with points and features")
        if not 0 < sampling_ratio <= 1:
            raise InputError(f"got sampling_ratio={sampling_ratio}; expected a share in (0, 1]")
        if not bool(torch.isfinite(embedding).all()):
            raise InputError("got an embedding that is not finite; expected numbers: check pictures and weights")
        self.embedding = embedding
        self.n_observations = embedding.shape[0]
        self.coreset_size = max(1, int(embedding.shape[0] * sampling_ratio))
        self.seed = seed
        # Squared distances of centred points cancel least.
        self.features = embedding - embedding.mean(dim=0)
        self._norms = self.features.square().sum(dim=1)
        self._scratch = torch.empty_like(self._norms)
        self.min_distances: Tensor | None = None

    def reset_distances(self) -> None:
        """Forget every centre."""
        self.min_distances = None

    def update_distances(self, cluster_centers: int | Tensor | Sequence[int] | None) -> None:
        """Lower each point's squared distance to its nearest centre by new centres, given as row numbers.

        One number, several, or none at all ([] or None).

        Raises:
            InputError: a row that there is not.
        """
        for index in self._rows(cluster_centers):
            centre = self.features[index]
            torch.addmv(self._norms, self.features, centre, alpha=-2, out=self._scratch)
            self._scratch.add_(self._norms[index]).clamp_(min=0)
            if self.min_distances is None:
                self.min_distances = self._scratch.clone()
            else:
                torch.minimum(self.min_distances, self._scratch, out=self.min_distances)
            self.min_distances[index] = -torch.inf  # below every distance: a centre is never chosen again

    def get_new_idx(self) -> int:
        """The row farthest from its nearest centre; the first of equals.

        Raises:
            NoCentreError: no centre yet; it is both an `InputError` and a `TypeError`.
        """
        if self.min_distances is None:
            raise NoCentreError(
                "got no centre: min_distances is None and must be of type Tensor; "
                "expected at least one: call update_distances first"
            )
        return int(self.min_distances.argmax())

    def select_coreset_idxs(self, selected_idxs: Sequence[int] | None = None) -> list[int]:
        """Row numbers of the coreset, in the order chosen, besides those already `selected_idxs` ([] or None: none).

        Raises:
            InputError: a selected row that there is not.
        """
        taken = self._rows(selected_idxs)
        self.reset_distances()
        chosen = [] if taken else [self._first()]
        self.update_distances(taken or chosen)
        wanted = min(self.coreset_size, self.n_observations - len(set(taken)))
        for _ in track(range(wanted - len(chosen)), "selecting the coreset"):
            index = self.get_new_idx()
            self.update_distances([index])
            chosen.append(index)
        return chosen

    def sample_coreset(self, selected_idxs: Sequence[int] | None = None) -> Tensor:
        """The coreset's rows, (coreset_size, d); errors as `select_coreset_idxs`."""
        return self.embedding[self.select_coreset_idxs(selected_idxs)]

    def _rows(self, given: int | Tensor | Sequence[int] | None) -> list[int]:
        if isinstance(given, Tensor):
            given = given.flatten().tolist()
        rows = [given] if isinstance(given, int) else [int(row) for row in given or []]
        if rows and not 0 <= min(rows) <= max(rows) < self.n_observations:
            raise InputError(f"got rows from {min(rows)} to {max(rows)}; expected 0 to {self.n_observations - 1}")
        return rows

    def _first(self) -> int:
        generator = torch.Generator().manual_seed(self.seed)
        return int(torch.randint(self.n_observations, (1,), generator=generator))
