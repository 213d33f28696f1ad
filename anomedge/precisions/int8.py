"""Products of the networks in INT8, statistics in float32."""

from __future__ import annotations

from anomedge.precisions.base import Precision, Tolerance

__all__ = ["Int8"]


class Int8(Precision):
    """Convolutions and linear layers of the networks in INT8; everything behind them is computed in float32.

    The proof compares with eager Torch on the same levels. Sums of quantised layers are exact everywhere (docs/decisions/0029-int8-sums-without-rounding.md);
    behind a resize or an activation such as SiLU a value next to the middle between two levels may get the other one. The tolerances are twice the
    largest effect that was measured under OpenVINO (docs/decisions/0025-int8.md).
    """

    name = "int8"
    summary = "the backbone in INT8, with --calibrate; alone in its bundle"
    tolerance = Tolerance(
        score=1e-1, map=1e-1, batch=5e-2, pixels=1e-5, stage=5e-2
    )
    # Another level at one value changes a score that averages few values: most errors are of the size of the worst one.
    typical_score = 0.5
    quantised_networks = True
