"""Large tensors stored in float16, computed in float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from anomedge.precisions.base import Precision, Tolerance

if TYPE_CHECKING:
    import onnx

__all__ = ["Float16Storage"]


class Float16Storage(Precision):
    """Half the bytes; runtimes convert the tensors to float32 once, on loading."""

    name = "fp16-storage"
    summary = "half the bytes, computed in float32"
    tolerance = Tolerance(
        score=2e-2, map=2e-2, batch=1e-5, pixels=1e-5, stage=2e-2
    )

    @classmethod
    def edit(cls, graph: onnx.ModelProto, stored: Sequence[str]) -> None:
        """Store the model's large tensors in float16."""
        from anomedge.export.precision.storage import store_halved

        store_halved(graph, stored)
