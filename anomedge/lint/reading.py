"""Read an ONNX file into a `Graph`: functions inlined, batch fixed, shapes inferred."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx.inliner
import onnx.shape_inference
from onnx import AttributeProto, helper

from anomedge.errors import InputError
from anomedge.lint.graph import Graph, Node, Scope, Value, type_name
from anomedge.lint.partial_reading import read_without_weights
from anomedge.lint.shapes import content_of, inferred
from anomedge.lint.well_formed import (
    assert_expandable,
    assert_names_defined,
    assert_ranks_small,
    stored_tensors,
)

__all__ = ["read_graph"]


def read_graph(path: Path, batch: int) -> Graph:
    """Read the graph of a file, with shapes at a batch size.

    Raises:
        InputError: the file is not a valid ONNX graph.
    """
    model = read_without_weights(path)
    assert_ranks_small(model, path)
    functions = tuple((f.domain, f.name) for f in model.functions)
    if functions:
        assert_expandable(model, path)
        model = _inlined(model, path)
    assert_names_defined(model.graph, path, set())
    open_axes, batch = _close_batch(model.graph, batch)
    shaped = inferred(model)
    scope = Scope(None)
    _fill(scope, shaped.graph, model.graph.initializer)
    stored = {tensor.name for tensor in model.graph.initializer}
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    return Graph(
        path=path,
        opset=opsets.get("", opsets.get("ai.onnx")),
        nodes=tuple(_nodes(shaped.graph, scope, "")),
        inputs=tuple(
            value.name
            for value in model.graph.input
            if value.name not in stored
        ),
        outputs=tuple(value.name for value in model.graph.output),
        open_axes=open_axes,
        tensors=tuple(stored_tensors(model.graph)),
        functions=functions,
        batch=batch,
    )


def _inlined(model: Any, path: Path) -> Any:
    try:
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0]
        raise InputError(
            f"{path}: its functions cannot be written out ({reason}); export it again"
        ) from error


def _close_batch(
    graph: Any, batch: int
) -> tuple[dict[str, tuple[int, ...]], int]:
    """Set open first dimensions of inputs to `batch`; return the open axes of each input, and the first input's batch."""
    stored = {tensor.name for tensor in graph.initializer}
    open_axes, first = {}, 0
    for value in graph.input:
        dimensions = value.type.tensor_type.shape.dim
        axes = tuple(
            i
            for i, d in enumerate(dimensions)
            if not d.HasField("dim_value") or d.dim_value < 0
        )
        if value.name in stored:
            continue
        if axes:
            open_axes[value.name] = axes
        if 0 in axes:
            dimensions[0].dim_value = batch
        first = first or (dimensions[0].dim_value if dimensions else 0)
    return open_axes, first or batch


def _fill(scope: Scope, graph: Any, tensors: Any) -> None:
    """Add the values and constants of a graph to its scope."""
    for tensor in tensors:
        scope.constants[tensor.name] = content_of(tensor)
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        shape = tuple(
            d.dim_value if d.HasField("dim_value") else None
            for d in kind.shape.dim
        )
        scope.values[value.name] = Value(
            value.name,
            type_name(kind.elem_type),
            shape if kind.HasField("shape") else None,
        )
    for tensor in tensors:
        scope.values[tensor.name] = Value(
            tensor.name, type_name(tensor.data_type), tuple(tensor.dims)
        )


def _nodes(graph: Any, scope: Scope, prefix: str) -> Iterator[Node]:
    for place, proto in enumerate(graph.node):
        name = prefix + (proto.name or f"node {place}")
        attributes = {a.name: _attribute(a) for a in proto.attribute}
        _note_constant(scope, proto, attributes)
        yield Node(
            name, proto.op_type, proto.domain, tuple(proto.input), tuple(proto.output), attributes, scope
        )  # fmt: skip
        for attribute in proto.attribute:
            for inner in (
                *attribute.graphs,
                *(
                    [attribute.g]
                    if attribute.type == AttributeProto.GRAPH
                    else []
                ),
            ):
                own = Scope(scope)
                _fill(own, inner, inner.initializer)
                yield from _nodes(inner, own, f"{name}.{attribute.name}/")


def _attribute(attribute: Any) -> Any:
    """Return an attribute's value, tensors as arrays; None for types that no rule reads."""
    if attribute.type == AttributeProto.TENSOR:
        return content_of(attribute.t)
    if attribute.type in {
        AttributeProto.GRAPH,
        AttributeProto.GRAPHS,
        AttributeProto.UNDEFINED,
    }:
        return None
    try:
        value = helper.get_attribute_value(attribute)
    except ValueError:
        return None
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _note_constant(
    scope: Scope, proto: Any, attributes: dict[str, Any]
) -> None:
    """Record the output of a Constant node, or of an Identity of a constant, as a constant."""
    if not proto.output:
        return
    if proto.op_type == "Constant":
        value = next(iter(attributes.values()), None)
        scope.constants[proto.output[0]] = (
            None
            if value is None or isinstance(value, str)
            else np.asarray(value)
        )
    elif proto.op_type == "Identity" and proto.input:
        is_constant, content = scope.constant(proto.input[0])
        if is_constant:
            scope.constants[proto.output[0]] = content
