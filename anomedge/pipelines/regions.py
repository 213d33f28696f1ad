r"""Restrict the patches and the anomaly map of a detector to a region of any shape, by constant factors.

With :math:`m` the patches that touch the region (0 or 1), :math:`d` their distances and :math:`R` the resampling to the
map, the map is the normalised convolution (Knutsson and Westin 1993, doi:10.1109/CVPR.1993.341081)

.. math:: a = \frac{R(m\,d)}{R(m)} \text{ within the region, 0 outside.}

Each value is a weighted mean of distances within the region, so patches outside neither raise nor lower it. 0 is the
smallest distance; no threshold lies below it. :math:`1 / R(m)` is a constant.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomedge.components import LinearResample2d
from anomedge.components.buffers import as_dtype_of, plain_state

__all__ = ["RegionMask", "patches_inside"]

Size = tuple[int, int]


class RegionMask(nn.Module):
    """A region of the image (H, W), as factors of the distances of patches and of the map.

    The mask `inside` is in the state_dict; the factors are computed from it.

    Args:
        grid: height and width of the grid of patches.
        size: height and width of the image.
        to_map: the resampling from patches to the map.
    """

    inside: Tensor
    patches: Tensor
    gain: Tensor

    @plain_state
    def __init__(
        self, grid: Size, size: Size, to_map: LinearResample2d
    ) -> None:
        super().__init__()
        self.grid, self.size = grid, size
        # Without registration: the detector owns this module.
        self._resampling = (to_map.rows, to_map.columns)
        self.register_buffer("inside", torch.ones(size, dtype=torch.bool))
        for name, shape in (
            ("patches", (grid[0] * grid[1],)),
            ("gain", (1, 1, *size)),
        ):
            self.register_buffer(name, torch.ones(shape), persistent=False)

    def fill(self, inside: Tensor) -> None:
        """Set the region, bool (H, W)."""
        self.inside = inside.bool().clone()
        self.derive()

    @plain_state
    def derive(self) -> None:
        """Compute the factors from the mask, in float64; nothing without data."""
        if self.inside.is_meta:
            return
        chosen = patches_inside(self.inside, self.grid)
        rows, columns = (matrix.double() for matrix in self._resampling)
        weight = rows @ chosen.double().reshape(self.grid) @ columns
        gain = torch.where(self.inside.bool(), 1 / weight, 0.0)
        self.patches = chosen.to(self.patches.dtype)
        self.gain = gain.to(self.gain.dtype).reshape(1, 1, *self.size)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        """Load the mask, then compute the factors."""
        super()._load_from_state_dict(*args, **kwargs)
        self.derive()

    def restrict(self, anomaly_map: Tensor) -> Tensor:
        """Return the map (B, 1, H, W) of distances within the region, 0 outside."""
        return anomaly_map * as_dtype_of(self.gain, anomaly_map)


def patches_inside(inside: Tensor, grid: Size) -> Tensor:
    """Return which patches touch the region, bool (h w,), for a mask (H, W).

    >>> inside = torch.tensor([[False, False, False, True]])
    >>> patches_inside(inside, (1, 2))
    tensor([False,  True])
    """
    share = F.adaptive_max_pool2d(inside.float()[None, None], grid)
    return share.flatten() > 0
