"""Edits of a bundle's graph that several layouts share: nodes before `frames`, and another input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx

__all__ = ["dims", "feed_frames", "node"]


def node(
    kind: str, inputs: list[str], output: str, **attributes: Any
) -> onnx.NodeProto:
    """Return a node that is named after its output."""
    from onnx import helper

    return helper.make_node(
        kind, inputs, [output], name=f"layout_{output}", **attributes
    )


def dims(value: onnx.ValueInfoProto) -> list[int | str]:
    """Return the sizes of an input or output; a name for an open one."""
    return [
        dim.dim_param or dim.dim_value
        for dim in value.type.tensor_type.shape.dim
    ]


def feed_frames(
    model: onnx.ModelProto,
    name: str,
    dtype: str,
    axes: tuple[int, ...],
    nodes: list[onnx.NodeProto],
    constants: dict[str, Any],
    channels: int = 3,
) -> None:
    """Replace the input `frames` (B, H, W, 3) by another one, from which nodes compute `frames` as floats.

    Runtimes drop the graph's own cast from float32 to float32.

    Args:
        model: the bundle's graph.
        name: of the new input.
        dtype: its element type, in numpy's name.
        axes: the axis of (B, H, W, channels) at each of its axes.
        nodes: from the input to `frames`.
        constants: that the nodes read; numpy arrays or numbers of numpy's types.
        channels: number of its channels.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    sizes = [*dims(graph.input[0])[:3], channels]
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    shape = [sizes[axis] for axis in axes]
    graph.input[0].CopyFrom(helper.make_tensor_value_info(name, kind, shape))
    kept = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *kept])
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), constant)
        for constant, value in constants.items()
    )
