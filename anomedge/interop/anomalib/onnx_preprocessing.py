"""Preprocessing of an exported graph: the operators between its input and the first convolution.

Exported graphs resize without antialiasing; an import takes the antialiased
resize that the model was fitted with.
"""

from __future__ import annotations

import math
from typing import Any

from anomedge.errors import ModelError
from anomedge.interop.anomalib.defaults import UNSCALED
from anomedge.interop.anomalib.foreign import Preprocessing, Triple
from anomedge.interop.anomalib.onnx_graph import OnnxGraph
from anomedge.interop.anomalib.plain import triple_of
from anomedge.interop.anomalib.preprocessing import LEAST_DEVIATION
from anomedge.resample import Geometry

__all__ = ["preprocessing_of_graph"]

_FARTHEST = 64
_RESIZE = "Resize of the graph"
_BEFORE = {"Div": ("Conv",), "Sub": ("Conv", "Div")}
"""Operators of the scaling, and those that they may come before."""
_WITHOUT_EFFECT = {"Cast", "Identity", "Reshape"}
"""Operators that neither move nor change pixels."""


def preprocessing_of_graph(graph: OnnxGraph) -> Preprocessing:
    """Return the preprocessing of the graph, from the first convolution back to the input.

    Raises:
        ModelError: an operator that cannot be represented, such as a crop.
    """
    mean, std = UNSCALED
    later = "Conv"
    name = next(graph.named("Conv")).input[0]
    for _ in range(_FARTHEST):
        node = graph.producers.get(name)
        if node is None:
            return _with_size(graph, name, mean, std)
        values = _column(graph, node)
        if node.op_type == "Resize":
            size = _resized(graph, node)
            return Preprocessing(size, mean, std, None, note=_RESIZE)
        if values is not None and later in _BEFORE.get(node.op_type, ()):
            later = node.op_type
            mean, std = _scaled(later, values, mean, std)
        elif not _is_without_effect(node):
            break
        name = node.input[0]
    raise ModelError(
        "got a graph whose preprocessing is not a resize, a subtraction and a division; expected no crop: "
        "import the checkpoint"
    )


def _scaled(
    operator: str, values: Triple, mean: Triple, std: Triple
) -> tuple[Triple, Triple]:
    """Return mean and standard deviation with those of one more operator."""
    if operator == "Sub":
        return values, std
    if min(values) < LEAST_DEVIATION:
        raise ModelError(
            f"got a division of the images by {values}; expected deviations from {LEAST_DEVIATION:g} on: import the checkpoint"
        )
    return mean, values


def _is_without_effect(node: Any) -> bool:
    """Return whether a node leaves images alone, or is the padding of a convolution of the backbone."""
    of_backbone = node.name.startswith("/model/feature_extractor/")
    is_padding = node.op_type == "Pad" and of_backbone
    return node.op_type in _WITHOUT_EFFECT or is_padding


def _resized(graph: OnnxGraph, node: Any) -> Geometry:
    """Return the size of a bilinear resize of the input.

    Raises:
        ModelError: another resize, or sizes that are computed.
    """
    sizes = node.input[3] if len(node.input) > 3 else ""
    producer = graph.producers.get(sizes)
    if producer is not None and producer.op_type == "Concat":
        sizes = producer.input[-1]
    constant = graph.constant(sizes)
    mode = [each.s for each in node.attribute if each.name == "mode"]
    is_first = _is_input(graph, node.input[0])
    if constant is None or mode != [b"linear"] or not is_first:
        raise ModelError(
            "got a graph with a resize that is not bilinear, or not to a constant size; expected one: "
            "import the checkpoint"
        )
    height, width = (int(n) for n in constant.load().flatten()[-2:])
    return Geometry((height, width))


def _is_input(graph: OnnxGraph, name: str) -> bool:
    """Return whether a value is the graph's input, perhaps reshaped to the same images."""
    for _ in range(_FARTHEST):
        node = graph.producers.get(name)
        if node is None:
            return True
        if node.op_type not in _WITHOUT_EFFECT:
            return False
        name = node.input[0]
    return False


def _with_size(
    graph: OnnxGraph, name: str, mean: Triple, std: Triple
) -> Preprocessing:
    """Return the preprocessing of a graph that does not resize: its input has the size of the images."""
    for value in graph.graph.input:
        if value.name != name:
            continue
        sizes = [part.dim_value for part in value.type.tensor_type.shape.dim]
        if len(sizes) == 4 and sizes[1] == 3 and min(sizes[2:]) > 0:
            geometry = Geometry((sizes[2], sizes[3]))
            return Preprocessing(geometry, mean, std, None, note="input")
    return Preprocessing(
        mean=mean, std=std, note="the graph takes images of any size"
    )


def _column(graph: OnnxGraph, node: Any) -> Triple | None:
    """Return the three numbers that a node subtracts or divides by, as the shortest decimals of their float32."""
    constant = graph.constant(node.input[1]) if len(node.input) == 2 else None
    if constant is None or math.prod(constant.shape) != 3:
        return None
    values = constant.load().flatten().numpy()
    return triple_of([float(str(value)) for value in values])
