r"""Linear resampling of images as two constant products, :math:`y = A\,x\,B^\top`.

Exact in every runtime, where the operator `Resize` is not: one ignores `antialias`, another refuses it. A product of
two such steps is one such step, so upsampling and blurring a map costs no more than either.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from anomedge.resample import Matrix, nearest, taps

__all__ = ["BandedRows", "LinearResample2d", "NearestUpsample2d"]


class LinearResample2d(nn.Module):
    """Apply a matrix to the rows and one to the columns of each channel.

    Args:
        rows: A, of shape (h, H).
        columns: B, of shape (w, W).

    The buffers are derived, so they are not in the state_dict; they have the default dtype.

    Example:
        >>> from anomedge.resample import bilinear
        >>> upsample = LinearResample2d(bilinear(1, 1), bilinear(2, 4))
        >>> upsample(torch.tensor([[[[0.0, 4.0]]]])).tolist()
        [[[[0.0, 1.0, 3.0, 4.0]]]]
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, rows: Matrix, columns: Matrix) -> None:
        super().__init__()
        self.register_buffer("rows", _constant(rows), persistent=False)
        self.register_buffer("columns", _constant(columns.T), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (B, C, H, W) to (B, C, h, w); the shorter axis is reduced first when that is less work."""
        h, n_rows = self.rows.shape
        n_columns, w = self.columns.shape
        if h * n_columns * (n_rows + w) <= n_rows * w * (n_columns + h):
            return torch.matmul(torch.matmul(self.rows, x), self.columns)
        return torch.matmul(self.rows, torch.matmul(x, self.columns))

    def extra_repr(self) -> str:
        """Sizes in and out."""
        (h, n_rows), (n_columns, w) = self.rows.shape, self.columns.shape
        return f"{n_rows}x{n_columns} -> {h}x{w}"


class BandedRows(nn.Module):
    """Apply a banded matrix A (h, H) along the first axis of (B, H, M), reading only its T taps a row.

    Costs T / H of the full product, which pays once H is large: an antialiased reduction from 1,080 rows has 10 taps.

    Example:
        >>> from anomedge.resample import bilinear
        >>> BandedRows(bilinear(4, 2, antialias=True))(torch.arange(4.0).reshape(1, 4, 1)).flatten()
        tensor([0.7143, 2.2857])
    """

    indices: Tensor
    weights: Tensor

    def __init__(self, matrix: Matrix) -> None:
        super().__init__()
        indices, weights = taps(matrix)
        self.out = matrix.shape[0]
        self.width = weights.shape[1]
        self.register_buffer("indices", torch.from_numpy(indices.ravel()), persistent=False)
        self.register_buffer("weights", _constant(weights[:, None, :]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (B, H, M) to (B, h, M)."""
        gathered = x.index_select(1, self.indices).reshape(-1, self.out, self.width, x.shape[2])
        return torch.matmul(self.weights, gathered).squeeze(2)


class NearestUpsample2d(nn.Module):
    """Nearest-neighbour resize by two constant gathers, source index floor(i n_in / n_out) in whole numbers.

    Equals `torch.nn.functional.interpolate(mode="nearest")`.

    Example:
        >>> NearestUpsample2d((1, 2), (1, 4))(torch.tensor([[[[3.0, 5.0]]]])).tolist()
        [[[[3.0, 3.0, 5.0, 5.0]]]]
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, size_in: Sequence[int], size_out: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("rows", torch.from_numpy(nearest(size_in[0], size_out[0])), persistent=False)
        self.register_buffer("columns", torch.from_numpy(nearest(size_in[1], size_out[1])), persistent=False)
        self.same = tuple(size_in) == tuple(size_out)

    def forward(self, x: Tensor) -> Tensor:
        """Shape (B, C, H, W) to (B, C, h, w)."""
        return x if self.same else x.index_select(2, self.rows).index_select(3, self.columns)


def _constant(matrix: Matrix) -> Tensor:
    return torch.from_numpy(matrix.copy()).to(torch.get_default_dtype())
