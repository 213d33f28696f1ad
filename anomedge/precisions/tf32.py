"""Products in TF32: a mode of runtimes on NVIDIA GPUs, without a graph of its own."""

from __future__ import annotations

from anomedge.precisions.base import Precision, Tolerance

__all__ = ["TensorFloat32"]


class TensorFloat32(Precision):
    """The float32 graph; operands of products are rounded to ten bits.

    Measured on the demonstration's pictures: 1.8e-2 of the scale, 5.3e-4 of the pixels' range.
    """

    name = "tf32"
    summary = "the fp32 graph in TF32, on an NVIDIA GPU"
    tolerance = Tolerance(
        score=3e-2, map=3e-2, batch=3e-2, pixels=1e-3, stage=3e-2
    )
    # The typical error was not measured; the worst of the demonstration was 0.6 of the tolerance.
    typical_score = 0.6
    is_written = False
