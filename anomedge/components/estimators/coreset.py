r"""Greedy k-center selection: a subset that leaves no point far from a chosen one.

.. math:: s_{t+1} = \arg\max_i \min_{j \le t} \lVert x_i - x_{s_j} \rVert

A 2-approximation of the smallest covering radius (Sener and Savarese 2018, "Active learning for convolutional neural
networks: a core-set approach", arXiv:1708.00489); PatchCore's memory bank (Roth et al. 2022, arXiv:2106.08265).
Selection runs on the features themselves, not on a random projection of them, and never touches the global random
state.

Nothing is measured before it can matter. A point's distance to its nearest centre only falls as centres are added, so
an old one is an upper bound: a point whose bound is below the largest distance cannot be the next centre, whatever
came since (lazy evaluation: Minoux 1978, "Accelerated greedy algorithms for maximizing submodular set functions").
The few points with the largest bounds are brought up to date, against all centres they have missed in one matrix
product, and are chosen from until the largest bound among the others is reached.

The product selects, a subtraction measures. With :math:`y = x - c`, for any c, rounding moves a float32
:math:`|y_i|^2 + |y_j|^2 - 2 y_i^\top y_j` by less than :math:`\eta (|y_i|^2 + |y_j|^2)`, where :math:`\eta` is d and a
few times the precision (Higham 2002, "Accuracy and stability of numerical algorithms", section 3.1). So the product
leaves out only centres that are no nearer than the bound; to the others the distance is taken in float64 from the
points themselves: the choice is that of the plain algorithm in float64.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from anomedge.components.buffers import plain_state
from anomedge.components.scalars import real, whole
from anomedge.components.scalars import seed as checked_seed
from anomedge.errors import InputError
from anomedge.progress import track

__all__ = ["KCenterGreedy", "NoCentreError"]

_BLOCK = (
    1 << 20
)  # numbers of the points in one product: it stays in the cache, and an interruption waits for no more
_ROWS = 4096  # points in one product, at most
_CENTRES = 512  # centres in one product, at most
_CANDIDATES = 1024  # points to choose from at a time
_REFRESHED = 1 / 16  # share of the points brought up to date at a time
_SAMPLE = 1024  # points whose median is taken


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
        features: what distances are taken between: the points themselves, (N, d).

    Distances and the coreset have no gradient. The points are not copied; additional memory is about 50 bytes per point
    and a few tens of MB.

    Raises:
        InputError: no points, not (N, d), a value that is not finite or too large to be squared, or a ratio outside
            (0, 1].

    Example:
        >>> points = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
        >>> KCenterGreedy(points, 0.5).select_coreset_idxs([0])
        [3, 1]
    """

    @plain_state
    def __init__(
        self, embedding: Tensor, sampling_ratio: float, *, seed: int = 0
    ) -> None:
        if embedding.ndim != 2 or embedding.numel() == 0:
            raise InputError(
                f"got an embedding {tuple(embedding.shape)}; expected (N, d) with points and features"
            )
        share = real(sampling_ratio, "sampling_ratio")
        if not 0 < share <= 1:
            raise InputError(
                f"got sampling_ratio={sampling_ratio}; expected a share in (0, 1]"
            )
        self.embedding = self.features = embedding.detach()
        self.n_observations, width = embedding.shape
        self.coreset_size = max(1, int(self.n_observations * share))
        self.seed = checked_seed(seed, "seed")
        self._step = min(_ROWS, max(1, _BLOCK // width))
        self._type = _product_type(embedding)
        limits = torch.finfo(self._type)
        self._rounding = limits.eps * (width + 32)
        # The less a shift leaves of the points, the fewer must be measured; a median is not moved by outliers.
        self._shift = (
            self.features[:: 1 + self.n_observations // _SAMPLE]
            .to(self._type)
            .median(dim=0)
            .values
        )
        self._norms = self._shift.new_empty(self.n_observations)
        for rows in torch.split(self._every(), self._step):
            self._norms[rows] = self._shifted(rows).square_().sum(dim=1)
        if not bool((self._norms < limits.max / 8).all()):
            raise InputError(
                "got an embedding that is not finite, or too large to be squared; "
                "expected numbers: check pictures and weights"
            )
        self.reset_distances()

    @plain_state
    def reset_distances(self) -> None:
        """Forget every centre."""
        self._centres: list[int] = []
        # The nearest centre's squared distance among the first `_seen` of the centres; -inf for a centre.
        self._bounds = torch.full_like(
            self._norms, torch.inf, dtype=torch.float64
        )
        self._seen = torch.zeros_like(self._norms, dtype=torch.int32)

    @property
    @plain_state
    def min_distances(self) -> Tensor | None:
        """Squared distance of each point to its nearest centre, (N,), float64, -inf for a centre; None without one.

        Points are brought up to date when this is asked for, not before.
        """
        if not self._centres:
            return None
        self._refresh(self._every())
        return self._bounds

    @plain_state
    def update_distances(
        self,
        cluster_centers: int | Tensor | Sequence[int] | None = None,
        *,
        cluster_center: int | Tensor | Sequence[int] | None = None,
    ) -> None:
        """Add centres, given as row numbers: one number, several, or none at all ([] or None).

        Args:
            cluster_centers: the rows.
            cluster_center: alias of `cluster_centers`, the argument's name in anomalib 2.7.

        Raises:
            InputError: a row that there is not.
        """
        rows = self._rows(cluster_centers) + self._rows(cluster_center)
        self._centres += rows
        self._bounds[
            rows
        ] = -torch.inf  # below every distance: a centre is never chosen again

    @plain_state
    def get_new_idx(self) -> int:
        """The row farthest from its nearest centre; the first of equals.

        Raises:
            NoCentreError: no centre yet; it is both an `InputError` and a `TypeError`.
        """
        distances = self.min_distances
        if distances is None:
            raise NoCentreError(
                "got no centre: min_distances is None and must be of type Tensor; "
                "expected at least one: call update_distances first"
            )
        return int(distances.argmax())

    @plain_state
    def select_coreset_idxs(
        self, selected_idxs: Sequence[int] | None = None
    ) -> list[int]:
        """Row numbers of the coreset, in the order chosen, besides those already `selected_idxs` ([] or None: none).

        Raises:
            InputError: a selected row that there is not.
        """
        taken = self._rows(selected_idxs)
        self.reset_distances()
        chosen = [] if taken else [self._first()]
        self.update_distances(taken or chosen)
        wanted = min(
            self.coreset_size, self.n_observations - len(set(taken))
        ) - len(chosen)
        return chosen + list(
            track(
                islice(self._farthest(), wanted),
                "selecting the coreset",
                total=wanted,
            )
        )

    @plain_state
    def sample_coreset(
        self, selected_idxs: Sequence[int] | None = None
    ) -> Tensor:
        """The coreset's rows, (coreset_size, d); errors as `select_coreset_idxs`."""
        return self.embedding[self.select_coreset_idxs(selected_idxs)]

    def _farthest(self) -> Iterator[int]:
        """The row farthest from its nearest centre, which becomes one, again and again until no row is left."""
        while bool((self._bounds > -torch.inf).any()):
            yield from self._chosen(*self._candidates())

    def _candidates(self) -> tuple[Tensor, float]:
        """The rows with the largest bounds, up to date and in order, and the largest bound among all others."""
        stale, limit = self._largest(
            self._every(),
            max(_CANDIDATES, int(self.n_observations * _REFRESHED)),
        )
        self._refresh(stale)
        rows, others = self._largest(stale, _CANDIDATES)
        return rows, max(limit, others)

    def _largest(self, rows: Tensor, count: int) -> tuple[Tensor, float]:
        """Those of the rows with the `count` largest bounds, the first of equals, and the largest bound left out."""
        if len(rows) <= count:
            return rows, -torch.inf
        bounds = self._bounds[rows]
        limit = bounds.topk(count + 1).values[-1]
        above, equal = rows[bounds > limit], rows[bounds == limit]
        return torch.cat(
            [above, equal[: count - len(above)]]
        ).sort().values, float(limit)

    def _chosen(self, rows: Tensor, limit: float) -> Iterator[int]:
        """Rows in the order chosen, as long as the farthest of them is no nearer than `limit`."""
        points = self._shifted(rows)
        while True:
            bounds = self._bounds[rows]
            left = bounds >= max(limit, 0.0)
            if 2 * int(left.sum()) < len(
                rows
            ):  # what falls below the limit is another round's
                rows, points, bounds = rows[left], points[left], bounds[left]
            if not len(rows):
                return
            best = int(bounds.argmax())
            self.update_distances(int(rows[best]))
            yield self._centres[-1]
            self._lower(rows, points, rows[best : best + 1])
            self._seen[rows] = len(self._centres)

    def _refresh(self, rows: Tensor) -> None:
        """Lower the bounds of the rows by all centres that they have not seen."""
        # Neighbours in this order have missed much the same centres, and share a product.
        rows = rows[self._seen[rows].argsort(stable=True)]
        for block in torch.split(rows, self._step):
            missed = torch.tensor(
                self._centres[int(self._seen[block[0]]) :],
                dtype=torch.int64,
                device=rows.device,
            )
            if not len(missed):
                return
            points = self._shifted(block)
            for centres in torch.split(missed, _CENTRES):
                self._lower(block, points, centres)
            self._seen[block] = len(self._centres)

    def _lower(self, rows: Tensor, points: Tensor, centres: Tensor) -> None:
        """Lower the bounds of the rows, whose shifted `points` are given, by some centres."""
        norms, others = self._norms[rows], self._norms[centres]
        errors, theirs = self._rounding * norms, self._rounding * others
        # No more than |x - y|^2 - |x|^2 + errors, whatever was rounded.
        least = torch.addmm(
            others - theirs, points, self._shifted(centres).mT, alpha=-2
        )
        room = (self._bounds[rows] - (norms - errors)).to(least)
        # Most points have no centre near enough; of the others, only those centres count that may be the nearest.
        hit = (least.amin(dim=1) <= room).nonzero().flatten()
        least, room = least[hit], room[hit]
        lowest, nearest = least.min(dim=1)
        most = lowest + 2 * (errors[hit] + theirs[nearest])
        point, centre = (least <= torch.minimum(room, most)[:, None]).nonzero(
            as_tuple=True
        )
        pairs = torch.stack([rows[hit[point]], centres[centre]])
        for pair in torch.split(
            pairs, max(1, self._step // 4), dim=1
        ):  # float64, and three of them
            self._bounds.scatter_reduce_(
                0, pair[0], self._measured(*pair), "amin"
            )

    def _measured(self, rows: Tensor, others: Tensor) -> Tensor:
        """Squared distances of pairs of rows, in float64."""
        return (
            self.features[rows]
            .double()
            .sub_(self.features[others])
            .square_()
            .sum(dim=1)
        )

    def _shifted(self, rows: Tensor) -> Tensor:
        return self.features[rows].to(self._type).sub_(self._shift)

    def _every(self) -> Tensor:
        return torch.arange(self.n_observations, device=self.features.device)

    def _rows(self, given: int | Tensor | Sequence[int] | None) -> list[int]:
        if given is None:
            return []
        if isinstance(given, (Tensor, np.ndarray, np.generic)):
            given = given.reshape(-1).tolist()
        listed = given if isinstance(given, Iterable) else [given]
        rows = [whole(row, "row", least=None) for row in listed]
        if rows and not 0 <= min(rows) <= max(rows) < self.n_observations:
            raise InputError(
                f"got rows from {min(rows)} to {max(rows)}; expected 0 to {self.n_observations - 1}"
            )
        return rows

    def _first(self) -> int:
        generator = torch.Generator().manual_seed(self.seed)
        return int(
            torch.randint(self.n_observations, (1,), generator=generator)
        )


def _product_type(embedding: Tensor) -> torch.dtype:
    """Float32 where its products are rounded as such: torch may have been told to take them in TF32 or bfloat16."""
    try:
        rounded = torch.get_float32_matmul_precision() != "highest"
    except RuntimeError:  # told so backend by backend
        rounded = True
    narrow = embedding.dtype in (torch.float32, torch.float16, torch.bfloat16)
    return torch.float32 if narrow and not rounded else torch.float64
