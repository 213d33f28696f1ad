"""Name the dynamic batch axis, or check the fixed one."""

from __future__ import annotations

import onnx

from anomedge.errors import ExportError
from anomedge.export.passes.base import Pass

__all__ = ["NameBatch"]

BATCH = "batch"


class NameBatch(Pass):
    """Name the first axis of inputs and outputs `batch` if it is dynamic.

    Requires: torch kept a dynamic batch dynamic.
    Ensures: the axes of inputs and outputs are the batch and fixed sizes; frames have the target's size.
    """

    name = "name_batch"
    after = ("strip_metadata",)

    def requires(self, model: onnx.ModelProto) -> None:
        """Raise ExportError if torch specialised a dynamic batch, or wrote another fixed one."""
        for value in (*model.graph.input, *model.graph.output):
            first = value.type.tensor_type.shape.dim[0]
            if self.target.batch is None and first.HasField("dim_value"):
                raise ExportError(
                    f"{value.name}: torch froze the batch to {first.dim_value}; expected any: "
                    f"this detector's forward depends on the batch, or give --batch {first.dim_value}"
                )
            if self.target.batch not in {None, first.dim_value}:
                raise ExportError(
                    f"{value.name}: got batch {first.dim_value}; expected {self.target.batch}"
                )

    def rewrite(self, model: onnx.ModelProto) -> bool:
        """Name the batch axis of every input and output."""
        if self.target.batch is not None:
            return False
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_param = BATCH
        return True

    def ensures(self, model: onnx.ModelProto) -> None:
        """Raise ExportError if an axis other than the batch is dynamic, or frames have another size."""
        expected = {"frames": [*self.target.frame, 3]}
        for value in (*model.graph.input, *model.graph.output):
            _, *rest = value.type.tensor_type.shape.dim
            sizes = [dim.dim_value for dim in rest]
            if sizes != expected.get(value.name, sizes):
                raise ExportError(
                    f"{value.name}: got {sizes}; expected {expected[value.name]}"
                )
            if not all(sizes):
                raise ExportError(
                    f"{value.name}: only the batch may be open, another axis is; export with fixed sizes"
                )
