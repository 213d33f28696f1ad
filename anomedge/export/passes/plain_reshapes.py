"""Remove the attribute `allowzero`, which torch writes on every Reshape; readers without it refuse the graph."""

from __future__ import annotations

import onnx
from onnx import numpy_helper

from anomedge.export.graphs import remove_attribute
from anomedge.export.passes.base import Pass

__all__ = ["PlainReshapes"]


class PlainReshapes(Pass):
    """Remove `allowzero` from every Reshape to a constant shape without a zero.

    Ensures: values are unchanged; a shape with a zero, or computed at run time, keeps the attribute.
    """

    name = "plain_reshapes"
    after = ("pack_zeros",)

    def rewrite(self, model: onnx.ModelProto) -> bool:
        """Remove the attribute where it has no effect."""
        constants = {tensor.name: tensor for tensor in model.graph.initializer}
        changed = False
        for node in model.graph.node:
            if node.op_type != "Reshape":
                continue
            shape = constants.get(node.input[1])
            if shape is not None and numpy_helper.to_array(shape).all():
                changed |= remove_attribute(node, "allowzero")
        return changed
