r"""Candidates for the nearest vector by an INT8 product that ranks lower bounds.

The nearest of N vectors :math:`m_j` to a patch :math:`x` has the least :math:`T_j = \lVert m_j \rVert^2 / 2 + y \cdot m_j`,
where :math:`y = -x`. With :math:`b_j = \mathrm{round}(m_j / s_j)`, :math:`s_j = \max_i |m_{ij}| / 127`, and
:math:`q = \mathrm{round}(127\, y / c)`, :math:`c = \max_i |y_i|`, both int8,

.. math:: y \cdot m_j = \frac{c\, s_j}{127}\, q \cdot b_j + r \cdot \hat m_j + y \cdot e_j, \qquad
          r = y - \tfrac{c}{127} q, \quad \hat m_j = s_j b_j, \quad e_j = m_j - \hat m_j

so :math:`L_j \le T_j` for

.. math:: L_j = \tfrac12 \lVert m_j \rVert^2 + \tfrac{c\, s_j}{127}\, q \cdot b_j
                - \lVert r \rVert \lVert \hat m_j \rVert - \lVert y \rVert \lVert e_j \rVert

The two products of norms are more columns of the same INT8 product, rounded outwards: of the patch
:math:`\lceil 127 \lVert r \rVert / (c \rho) \rceil` and :math:`\lceil 127 \lVert y \rVert / (c \sqrt d) \rceil`, where
:math:`\rho = \sqrt d / 254` is the largest :math:`\lVert r \rVert / c`; of the bank
:math:`\lceil \rho \lVert \hat m_j \rVert / s_j \rceil` and :math:`\lceil \sqrt d \lVert e_j \rVert / s_j \rceil`, each
split among as many columns as int8 needs.

The k vectors with the least :math:`L_j` are the candidates. If one of them has a :math:`T` of at most the k-th least
:math:`L_j`, no other vector is nearer.

All levels of a patch are one row, on the finest grid: one product of integers takes less time than a sum of products of levels
in float32, each upsampled.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from anomedge.components.buffers import as_dtype_of, plain_state
from anomedge.components.quantised import dequantised, quantised
from anomedge.components.scalars import whole
from anomedge.errors import InputError

__all__ = ["CANDIDATES", "EVERY_PROCESSOR", "WITH_DOT_PRODUCTS", "Int8Search"]

CANDIDATES = 8
WITH_DOT_PRODUCTS = 127
"""Largest magnitude of a bank's integers for processors that add products of bytes in 32 bits (VNNI, AMX, SDOT)."""
EVERY_PROCESSOR = 64
"""The same without saturation where two products are added in 16 bits: 2 x 255 x 64 < 2^15."""

_LEVELS = 127
_LEAST = 2.0**-20
"""Smallest c as a share of the bank's largest norm; a patch of zeros must not be divided by zero."""
_PART = 2048
_MOST_PARTS = 32
_OUTWARDS = 1 + 2.0**-10
"""Factor on norms, and share of an integer: rounding in float32 is far below both."""
_EPSILON = 2.0**-24


class Int8Search(nn.Module):
    """The k vectors of a bank with the least lower bounds of their distances, found by an INT8 product.

    Args:
        n_vectors: N.
        n_features: d.
        candidates: k; N if that is less.
        limit: largest magnitude of the bank's integers, `WITH_DOT_PRODUCTS` or `EVERY_PROCESSOR`.

    Raises:
        InputError: an empty bank, a limit outside [1, 127], or no candidate.

    Example:
        >>> search = Int8Search(3, 1, candidates=2)
        >>> search.fill(torch.tensor([[-2.0], [-1.0], [3.0]]))
        >>> bounds, rows = search(torch.tensor([[[1.0]]]))  # y = 1, so the patch is -1
        >>> rows.tolist()
        [[1, 0]]
        >>> bool((bounds <= torch.tensor([0.5 - 1, 2.0 - 2])).all())
        True
    """

    half_norms: Tensor
    largest: Tensor
    steps: Tensor

    @plain_state
    def __init__(
        self,
        n_vectors: int,
        n_features: int,
        *,
        candidates: int = CANDIDATES,
        limit: int = WITH_DOT_PRODUCTS,
    ) -> None:
        super().__init__()
        self.n_vectors = whole(n_vectors, "n_vectors")
        self.n_features = whole(n_features, "n_features")
        self.candidates = min(whole(candidates, "candidates"), self.n_vectors)
        self.limit = whole(limit, "limit")
        if self.limit > _LEVELS:
            raise InputError(
                f"got limit {limit}; expected a limit from 1 to {_LEVELS}"
            )
        self.columns = _columns(self.n_features, self.limit)
        self.bounds = _bounds(self.n_vectors)
        rows = self.n_features + sum(self.columns)
        for part, (start, stop) in enumerate(self.bounds):
            integers = torch.zeros(rows, stop - start, dtype=torch.int8)
            self.register_buffer(f"bank{part}", integers)
            self.register_buffer(f"scales{part}", torch.ones(stop - start))
        self.register_buffer("half_norms", torch.zeros(self.n_vectors))
        self.register_buffer("largest", torch.ones(()))
        self.register_buffer(
            "steps", _steps(len(self.bounds)), persistent=False
        )

    @plain_state
    def fill(self, vectors: Tensor) -> None:
        """Set the bank from its vectors, (N, d); norms are computed in float64.

        Raises:
            InputError: other sizes, or a value that is not finite.
        """
        expected = (self.n_vectors, self.n_features)
        if vectors.shape != expected or not bool(torch.isfinite(vectors).all()):
            raise InputError(
                f"got vectors {tuple(vectors.shape)}; expected finite {expected}"
            )
        exact = vectors.double()
        squares = exact.square().sum(dim=1)
        self.half_norms = (squares / 2).to(self.half_norms)
        self.largest = squares.max().sqrt().to(self.largest)
        scale, integers = self._integers_of(exact)
        for part, (start, stop) in enumerate(self.bounds):
            own = integers[:, start:stop].contiguous()
            setattr(self, f"bank{part}", own)
            setattr(self, f"scales{part}", scale[start:stop].clone())

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return lower bounds of T_j, least first, and their rows, both (B P, k), for y (B, P, d)."""
        unit = self._unit(y)
        columns = self._columns_of(y / unit)
        found = []
        for part, (start, stop) in enumerate(self.bounds):
            least, rows = self._bounds_of(columns, unit, part).topk(
                min(self.candidates, stop - start), dim=2, largest=False
            )
            found.append((least, rows + start))
        bounds, rows = found[0]
        if len(found) > 1:
            every = [
                torch.cat(parts, dim=2) for parts in zip(*found, strict=True)
            ]
            bounds, places = every[0].topk(
                self.candidates, dim=2, largest=False
            )
            rows = every[1].gather(2, places)
        return bounds.flatten(0, 1), rows.flatten(0, 1)

    def rounding(self, squares: Tensor) -> Tensor:
        """Bound the rounding of float32 in the bounds and in a T that is measured, for |y|^2, (M,)."""
        terms = self.n_features + 32
        return (squares.sqrt() + self.largest).square() * (terms * _EPSILON)

    @property
    def bytes(self) -> int:
        """Bytes of the bank's copy."""
        return sum(
            buffer.numel() * buffer.element_size()
            for name, buffer in self.named_buffers()
            if name.startswith(("bank", "scales", "half_norms"))
        )

    def _integers_of(self, exact: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scales s (N,) and the integers with the columns of the norms, (d + columns, N)."""
        largest = exact.abs().amax(dim=1)
        # The product uses the scale as it is stored; it must not become 0 in float32.
        scale = torch.where(largest > 0, largest / self.limit, 1.0)
        scale = scale.float().clamp(min=torch.finfo(torch.float32).tiny)
        step = scale.double()[:, None]
        rounded = torch.round(exact / step).clamp(-self.limit, self.limit)
        error = (exact - rounded * step).norm(dim=1) / scale.double()
        sums = (
            _largest_residual(self.n_features) * rounded.norm(dim=1),
            math.sqrt(self.n_features) * error,
        )
        parts = [rounded]
        for total, count in zip(sums, self.columns, strict=True):
            parts.append(_split(torch.ceil(total * _OUTWARDS), count))
        return scale, torch.cat(parts, dim=1).T.to(torch.int8)

    def _unit(self, y: Tensor) -> Tensor:
        """Return c of each patch, (B, P, 1)."""
        least = (as_dtype_of(self.largest, y) * _LEAST).clamp(min=1e-18)
        return torch.maximum(y.abs().amax(dim=2, keepdim=True), least)

    def _columns_of(self, z: Tensor) -> Tensor:
        """Append the columns of the norms, in units of 1 / 127, to y / c, (B, P, d)."""
        width = self.n_features
        residual = z - torch.round(z * _LEVELS) / _LEVELS
        parts = [z]
        for x, most, count in zip(
            (residual, z),
            (_largest_residual(width), math.sqrt(width)),
            self.columns,
            strict=True,
        ):
            norm = x.square().sum(dim=2, keepdim=True).sqrt()
            share = torch.ceil(norm * (_LEVELS / most) + (_OUTWARDS - 1))
            parts += [share.clamp(max=_LEVELS) / -_LEVELS] * count
        return torch.cat(parts, dim=2)

    def _bounds_of(self, columns: Tensor, unit: Tensor, part: int) -> Tensor:
        """Return the lower bounds of a part of the bank, (B, P, n)."""
        start, stop = self.bounds[part]
        constant = as_dtype_of(self.half_norms[start:stop], unit)
        return self._product(columns, part) * unit + constant

    def _product(self, columns: Tensor, part: int) -> Tensor:
        """Multiply columns (B, P, d) and a part of the bank as integers, (B, P, n)."""
        step = as_dtype_of(self.steps[part], columns)
        scales = self.get_buffer(f"scales{part}")
        return torch.matmul(
            dequantised(quantised(columns, step), step),
            dequantised(
                self.get_buffer(f"bank{part}"), as_dtype_of(scales, columns)
            ),
        )


def _bounds(n: int) -> list[tuple[int, int]]:
    """Split a bank into parts of equal size that limit memory, as row ranges [start, stop); the rest comes first.

    >>> _bounds(4200)
    [(0, 104), (104, 2152), (2152, 4200)]
    """
    height = max(_PART, -(-n // _MOST_PARTS))
    edges = sorted({0, *range(n, 0, -height)})
    return list(pairwise(edges))


def _steps(parts: int) -> Tensor:
    """Return 1 / 127 for each part of the bank, all of them different in the last bits.

    ONNX Runtime multiplies in integers only where nothing else reads the quantised patches, and merges equal operators.
    """
    places = torch.arange(parts, dtype=torch.float64)
    return ((1 + places * 2.0**-23) / _LEVELS).float()


def _largest_residual(width: int) -> float:
    """Return rho, the largest norm of what rounding to 1 / 127 removes, a little enlarged."""
    return math.sqrt(width) / (2 * _LEVELS) * _OUTWARDS


def _columns(width: int, limit: int) -> tuple[int, int]:
    """Return how many columns the sums need: at most rho limit sqrt(d) + 1, and at most sqrt(d) sqrt(d) / 2 + 1."""
    sums = (
        _largest_residual(width) * limit * math.sqrt(width),
        width / 2,
    )
    first, second = (
        math.ceil((total * _OUTWARDS + 1) / limit) for total in sums
    )
    return first, second


def _split(total: Tensor, count: int) -> Tensor:
    """Split integers (N,) into `count` integers each that differ by at most 1, (N, count)."""
    low = torch.floor(total / count)
    places = torch.arange(count, dtype=total.dtype)
    return low[:, None] + (places < (total - low * count)[:, None])
