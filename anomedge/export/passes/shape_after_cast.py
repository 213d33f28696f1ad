"""Read the batch size from the frames after their Cast, because TensorRT takes uint8 at a network's boundary only.

Transformers read it: torch expands their class and register tokens to the batch.
"""

from __future__ import annotations

import onnx

from anomedge.export.passes.base import Pass

__all__ = ["ShapeAfterCast"]


class ShapeAfterCast(Pass):
    """Let every Shape of a uint8 input read the input's Cast, which then comes first.

    Ensures: values are unchanged, because a Cast keeps the shape. An input without a Cast is left as it is.
    """

    name = "shape_after_cast"
    after = ("plain_reshapes",)

    def rewrite(self, model: onnx.ModelProto) -> bool:
        """Exchange the inputs of these nodes."""
        graph = model.graph
        inputs = {value.name for value in graph.input if _is_uint8(value)}
        casts = {
            node.input[0]: node.output[0]
            for node in graph.node
            if node.op_type == "Cast" and node.input[0] in inputs
        }
        shapes = [
            node
            for node in graph.node
            if node.op_type == "Shape" and node.input[0] in casts
        ]
        for node in shapes:
            node.input[0] = casts[node.input[0]]
        if shapes:
            _move_first(graph, set(casts.values()))
        return bool(shapes)


def _move_first(graph: onnx.GraphProto, outputs: set[str]) -> None:
    """Move the nodes that compute these values to the front."""
    nodes = list(graph.node)
    nodes.sort(key=lambda node: node.output[0] not in outputs)
    del graph.node[:]
    graph.node.extend(nodes)


def _is_uint8(value: onnx.ValueInfoProto) -> bool:
    return bool(value.type.tensor_type.elem_type == onnx.TensorProto.UINT8)
