r"""Linear resampling of images, :math:`y = A\,x\,B^\top`, as two products.

Products are exact in every runtime. The operator `Resize` is not: OpenVINO
ignores `antialias`, TensorRT refuses it. Two consecutive steps are one step
with multiplied matrices, so upsampling and blurring costs as much as either.
"""

import torch
from torch import Tensor, nn

from anomedge.components.buffers import as_dtype_of, floating, plain_state
from anomedge.resample import Matrix, bands

__all__ = ["BandedRows", "LinearResample2d"]

_BLOCK = 16


class LinearResample2d(nn.Module):
    """Apply one matrix to the rows and one to the columns of each channel.

    Args:
        rows: A, of shape (h, H).
        columns: B, of shape (w, W).

    The buffers are derived, so they are not in the state_dict; they have the
    default dtype. Floating-point images are resampled in their own dtype,
    integer images in the buffers' dtype.

    Example:
        >>> from anomedge.resample import bilinear
        >>> upsample = LinearResample2d(bilinear(1, 1), bilinear(2, 4))
        >>> upsample(torch.tensor([[[[0.0, 4.0]]]])).tolist()
        [[[[0.0, 1.0, 3.0, 4.0]]]]
    """

    rows: Tensor
    columns: Tensor

    @plain_state
    def __init__(self, rows: Matrix, columns: Matrix) -> None:
        super().__init__()
        self.register_buffer("rows", _constant(rows), persistent=False)
        self.register_buffer("columns", _constant(columns.T), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Resample (B, C, H, W) to (B, C, h, w), in the cheaper order."""
        h, n_rows = self.rows.shape
        n_columns, w = self.columns.shape
        x = floating(x, self.rows)
        rows, columns = as_dtype_of(self.rows, x), as_dtype_of(self.columns, x)
        if h * n_columns * (n_rows + w) <= n_rows * w * (n_columns + h):
            return torch.matmul(torch.matmul(rows, x), columns)
        return torch.matmul(rows, torch.matmul(x, columns))

    def extra_repr(self) -> str:
        """Format input and output sizes."""
        (h, n_rows), (n_columns, w) = self.rows.shape, self.columns.shape
        return f"{n_rows}x{n_columns} -> {h}x{w}"


class BandedRows(nn.Module):
    """Apply a banded matrix A (h, H) to the first axis of (B, H, M), in blocks.

    Each block of rows reads a window of the input. An antialiased reduction
    from 1,080 to 256 rows reads 10 rows per output row and 72 per block of 16:
    a fifteenth of the work of the full product.

    Example:
        >>> from anomedge.resample import bilinear
        >>> BandedRows(bilinear(4, 2, antialias=True))(torch.arange(4.0).reshape(1, 4, 1)).flatten()
        tensor([0.7143, 2.2857])
    """

    indices: Tensor
    weights: Tensor

    @plain_state
    def __init__(self, matrix: Matrix) -> None:
        super().__init__()
        self.out = matrix.shape[0]
        indices, weights = bands(matrix, min(_BLOCK, self.out))
        self.blocks, self.width = indices.shape
        self.even = self.blocks * weights.shape[1] == self.out
        self.register_buffer(
            "indices", torch.from_numpy(indices.ravel()), persistent=False
        )
        self.register_buffer("weights", _constant(weights), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, M) to (B, h, M)."""
        x = floating(x, self.weights)
        windows = x.index_select(1, self.indices).reshape(
            -1, self.blocks, self.width, x.shape[2]
        )
        rows = torch.matmul(as_dtype_of(self.weights, x), windows).flatten(1, 2)
        return rows if self.even else rows[:, : self.out]


def _constant(matrix: Matrix) -> Tensor:
    return torch.from_numpy(matrix.copy()).to(torch.get_default_dtype())
