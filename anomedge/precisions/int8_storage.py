"""Statistics stored in 8 bits, computed in float32."""

from __future__ import annotations

from anomedge.precisions.base import Precision, Tolerance

__all__ = ["Int8Storage"]


class Int8Storage(Precision):
    """A quarter of the statistics' bytes; runtimes convert them to float32 once, on loading.

    On MVTec AD bottle with EfficientNet-Lite0 the largest error of a score was 0.002 of the scale (PaDiM) and 0.005
    (PatchCore), of a map 0.004 and 0.024. The tolerance is twice the largest of these.
    """

    name = "int8-storage"
    summary = "statistics in a quarter of the bytes, computed in float32"
    tolerance = Tolerance(
        score=5e-2, map=5e-2, batch=5e-5, pixels=1e-5, stage=5e-2
    )
    int8_storage = True
