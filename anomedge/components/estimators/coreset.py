r"""Greedy k-center selection: a subset with a small covering radius.

.. math:: s_{t+1} = \arg\max_i \min_{j \le t} \lVert x_i - x_{s_j} \rVert

A 2-approximation of the smallest covering radius (Sener and Savarese 2018,
"Active learning for convolutional neural networks: a core-set approach",
arXiv:1708.00489); PatchCore's memory bank (Roth et al. 2022, arXiv:2106.08265).
Selection runs on the features themselves, not on a random projection of them,
and never touches the global random state.

Distances are evaluated lazily (Minoux 1978, "Accelerated greedy algorithms for
maximizing submodular set functions"). The distance of a point to its nearest
centre only decreases as centres are added, so an old distance is an upper
bound, and a point with a bound below the largest distance cannot be the next
centre. The points with the largest bounds are updated against all centres added
since, in one matrix product, and centres are chosen among them down to the
largest bound of the other points.

Products exclude candidates, subtractions measure. With :math:`y = x - c` for
any c, the rounding error of a float32
:math:`|y_i|^2 + |y_j|^2 - 2 y_i^\top y_j` is below
:math:`\eta (|y_i|^2 + |y_j|^2)`, with :math:`\eta` slightly above d times the
machine precision (Higham 2002, "Accuracy and stability of numerical
algorithms", section 3.1). So the product excludes only centres that are not
nearer than the bound. Distances to the others are computed in float64 by
subtraction, and the selection equals that of the plain algorithm in float64.
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

# Maximum number of elements in one product, which then fits the cache.
_BLOCK = 1 << 20
_ROWS = 4096  # maximum points in one product
_CENTRES = 512  # maximum centres in one product
_CANDIDATES = 1024  # points to choose from at a time
_REFRESHED = 1 / 16  # share of the points updated at a time
_SAMPLE = 1024  # points for the median


class NoCentreError(InputError, TypeError):
    """A selection has no centre yet; a `TypeError`, as in anomalib."""


class KCenterGreedy:
    """Select `int(N * sampling_ratio)` of N rows, at least one.

    Args:
        embedding: N points of d features, (N, d).
        sampling_ratio: share to select, in (0, 1].
        seed: of the random first centre, if none is given.
        description: text of the progress display.

    Attributes:
        embedding: the points, (N, d).
        n_observations: N.
        coreset_size: number of points to select.
        features: same as `embedding`; distances are computed on the points.

    Distances and the coreset have no gradient. The points are not copied;
    additional memory is about 50 bytes per point and a few tens of MB.

    Raises:
        InputError: no points, not (N, d), a value that is not finite or too
            large to be squared, or a ratio outside (0, 1].

    Example:
        >>> points = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
        >>> KCenterGreedy(points, 0.5).select_coreset_idxs([0])
        [3, 1]
    """

    @plain_state
    def __init__(
        self,
        embedding: Tensor,
        sampling_ratio: float,
        *,
        seed: int = 0,
        description: str = "selecting the coreset",
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
        self.description = description
        self._step = min(_ROWS, max(1, _BLOCK // width))
        self._type = _product_type(embedding)
        limits = torch.finfo(self._type)
        self._rounding = limits.eps * (width + 32)
        # Small shifted norms give tight bounds; a median is robust to outliers.
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
        """Remove all centres."""
        self._centres: list[int] = []
        # Squared distance to the nearest of the first `_seen` centres; -inf for
        # a centre.
        self._bounds = torch.full_like(
            self._norms, torch.inf, dtype=torch.float64
        )
        self._seen = torch.zeros_like(self._norms, dtype=torch.int32)

    @property
    @plain_state
    def min_distances(self) -> Tensor | None:
        """Squared distance of each point to its nearest centre, (N,), float64.

        -inf for a centre; None without centres. Computed on access.
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
        """Add centres by row: one, several or none ([] or None).

        Args:
            cluster_centers: the rows.
            cluster_center: alias of `cluster_centers`, the argument's name in
                anomalib 2.7.

        Raises:
            InputError: a row out of range.
        """
        rows = self._rows(cluster_centers) + self._rows(cluster_center)
        self._centres += rows
        # Below every distance: a centre is not chosen again.
        self._bounds[rows] = -torch.inf

    @plain_state
    def get_new_idx(self) -> int:
        """Return the row farthest from its nearest centre; the first of equals.

        Raises:
            NoCentreError: no centre yet; both an `InputError` and a
                `TypeError`.
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
        """Select the rows of the coreset, in order, besides `selected_idxs`.

        Raises:
            InputError: a row out of range.
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
                self.description,
                total=wanted,
            )
        )

    @plain_state
    def sample_coreset(
        self, selected_idxs: Sequence[int] | None = None
    ) -> Tensor:
        """Return the points of the coreset; see `select_coreset_idxs`."""
        return self.embedding[self.select_coreset_idxs(selected_idxs)]

    def _farthest(self) -> Iterator[int]:
        """Yield the farthest row, which becomes a centre, until none is left."""
        while bool((self._bounds > -torch.inf).any()):
            yield from self._chosen(*self._candidates())

    def _candidates(self) -> tuple[Tensor, float]:
        """Return updated rows with the largest bounds, and the next bound."""
        stale, limit = self._largest(
            self._every(),
            max(_CANDIDATES, int(self.n_observations * _REFRESHED)),
        )
        self._refresh(stale)
        rows, others = self._largest(stale, _CANDIDATES)
        return rows, max(limit, others)

    def _largest(self, rows: Tensor, count: int) -> tuple[Tensor, float]:
        """Return the rows with the `count` largest bounds, and the next bound."""
        if len(rows) <= count:
            return rows, -torch.inf
        bounds = self._bounds[rows]
        limit = bounds.topk(count + 1).values[-1]
        above, equal = rows[bounds > limit], rows[bounds == limit]
        return torch.cat(
            [above, equal[: count - len(above)]]
        ).sort().values, float(limit)

    def _chosen(self, rows: Tensor, limit: float) -> Iterator[int]:
        """Yield chosen rows while the farthest has a bound of at least `limit`."""
        points = self._shifted(rows)
        while True:
            bounds = self._bounds[rows]
            left = bounds >= max(limit, 0.0)
            # Rows below the limit are candidates of a later round.
            if 2 * int(left.sum()) < len(rows):
                rows, points, bounds = rows[left], points[left], bounds[left]
            if not len(rows):
                return
            best = int(bounds.argmax())
            self.update_distances(int(rows[best]))
            yield self._centres[-1]
            self._lower(rows, points, rows[best : best + 1])
            self._seen[rows] = len(self._centres)

    def _refresh(self, rows: Tensor) -> None:
        """Update the bounds of the rows with all centres added since."""
        # Neighbours in this order need similar centres and share a product.
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
        """Update the bounds of rows, with shifted `points`, for some centres."""
        norms, others = self._norms[rows], self._norms[centres]
        errors, theirs = self._rounding * norms, self._rounding * others
        # Lower bound of |x - y|^2 - |x|^2 + errors.
        least = torch.addmm(
            others - theirs, points, self._shifted(centres).mT, alpha=-2
        )
        room = (self._bounds[rows] - (norms - errors)).to(least)
        # Most points have no centre near enough; for the others, keep centres
        # that may be the nearest.
        hit = (least.amin(dim=1) <= room).nonzero().flatten()
        least, room = least[hit], room[hit]
        lowest, nearest = least.min(dim=1)
        most = lowest + 2 * (errors[hit] + theirs[nearest])
        point, centre = (least <= torch.minimum(room, most)[:, None]).nonzero(
            as_tuple=True
        )
        pairs = torch.stack([rows[hit[point]], centres[centre]])
        # Three float64 arrays of this size are needed.
        size = max(1, self._step // 4)
        for pair in torch.split(pairs, size, dim=1):
            measured = self._measured(*pair)
            self._bounds.scatter_reduce_(0, pair[0], measured, "amin")

    def _measured(self, rows: Tensor, others: Tensor) -> Tensor:
        """Compute squared distances of pairs of rows, in float64."""
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
    """Return float32 if products have its precision, not TF32 or bfloat16."""
    try:
        rounded = torch.get_float32_matmul_precision() != "highest"
    except RuntimeError:  # set separately for each backend
        rounded = True
    narrow = embedding.dtype in (torch.float32, torch.float16, torch.bfloat16)
    return torch.float32 if narrow and not rounded else torch.float64
