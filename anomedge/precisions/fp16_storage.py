"""Large tensors stored in float16, computed in float32."""

from __future__ import annotations

from anomedge.precisions.base import Precision, Tolerance

__all__ = ["Float16Storage"]


class Float16Storage(Precision):
    """Half the bytes; runtimes convert the tensors to float32 once, on loading."""

    name = "fp16-storage"
    summary = "half the bytes, computed in float32"
    tolerance = Tolerance(
        score=2e-2, map=2e-2, batch=5e-5, pixels=1e-5, stage=2e-2
    )
    half_storage = True
