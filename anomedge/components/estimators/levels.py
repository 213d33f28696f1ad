"""Levels of patches as rows, and products of a coarse level on the finest grid."""

import torch
from torch import Tensor, nn

from anomedge.components.buffers import as_dtype_of
from anomedge.components.resampling import LinearResample2d

__all__ = ["rows_of", "rows_on_finest", "upsampled"]


def rows_of(x: Tensor) -> Tensor:
    """Map (B, d, h, w) to (B, h w, d)."""
    return x.flatten(2).transpose(1, 2)


def rows_on_finest(x: Tensor, step: nn.Module) -> Tensor:
    """Map (B, d, h, w) to (B, H W, d); transposing the small grid is faster than the large one.

    Args:
        x: a level.
        step: its upsampling to the finest grid; anything but a `LinearResample2d`: it is on that grid.
    """
    if not isinstance(step, LinearResample2d):
        return rows_of(x)
    rows, grid = rows_of(x), step.rows.shape[0] * step.columns.shape[1]
    width = rows.shape[2]
    return upsampled(rows.reshape(-1, width), step).reshape(-1, grid, width)


def upsampled(products: Tensor, step: LinearResample2d) -> Tensor:
    """Upsample products of a coarse grid (B h w, n) to (B H W, n).

    Args:
        products: one row for each place of the grid.
        step: the upsampling.
    """
    n, h, w = products.shape[1], step.rows.shape[1], step.columns.shape[0]
    tall = torch.matmul(
        as_dtype_of(step.rows, products), products.reshape(-1, h, w * n)
    )
    columns = as_dtype_of(step.columns.T, products)
    return torch.matmul(columns, tall.reshape(-1, w, n)).reshape(-1, n)
