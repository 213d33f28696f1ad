"""The minimum of each row and its first column, in operators that runtimes vectorise."""

from torch import Tensor

__all__ = ["BLOCK", "first_minimum"]

BLOCK = 64
"""Columns that are reduced together: ReduceMin is vectorised in runtimes, and ArgMin is not."""


def first_minimum(values: Tensor, zeros: Tensor) -> tuple[Tensor, Tensor]:
    """Return the minimum (M,) and its first column (M,) of each row of (M, N).

    The block with the minimum is selected first.
    """
    n = values.shape[1]
    if n % BLOCK:
        place = values.argmin(dim=1, keepdim=True)
        return values.gather(1, place).squeeze(1), place.squeeze(1)
    blocks = values.reshape(-1, n // BLOCK, BLOCK)
    least = blocks.amin(dim=2).argmin(dim=1, keepdim=True)
    within = blocks.gather(1, least.unsqueeze(2) + zeros[:, :, :BLOCK]).squeeze(
        1
    )
    place = within.argmin(dim=1, keepdim=True)
    return within.gather(1, place).squeeze(1), (least * BLOCK + place).squeeze(
        1
    )
