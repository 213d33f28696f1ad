"""Everything in float32."""

from __future__ import annotations

from anomedge.precisions.base import FLOAT32_PIXELS, Precision, Tolerance

__all__ = ["Float32"]


class Float32(Precision):
    """The default."""

    name = "fp32"
    summary = "float32, the default"
    tolerance = Tolerance(
        score=1e-4, map=1e-4, batch=5e-5, pixels=FLOAT32_PIXELS, stage=1e-4
    )

    @classmethod
    def file_name(cls, role: str, suffix: str) -> str:
        """Return a name without the precision, such as `model.onnx`."""
        return f"{role}{suffix}"
