"""Networks computed in float16, statistics stored in float16."""

from __future__ import annotations

from anomedge.precisions.base import Precision, Tolerance

__all__ = ["Float16"]


class Float16(Precision):
    """The networks in float16; everything behind them is computed in float32.

    The tolerances are twice the largest errors measured, those of an extreme frame; pictures reached a third
    (docs/decisions/0010-half-precision.md). Kernels of a GPU round differently for different batch sizes.
    """

    name = "fp16"
    summary = "the backbone in float16"
    tolerance = Tolerance(
        score=1e-1, map=1e-1, batch=5e-2, pixels=1e-5, stage=5e-2
    )
    half_networks = True
    half_storage = True
