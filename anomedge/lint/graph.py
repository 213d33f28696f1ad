"""A graph as the rules see it: nodes with their names, values with types and shapes at a batch, constants that matter.

Shapes come from `onnx.shape_inference` on the graph without its weights, with every open first dimension of an input set
to the largest batch. Nodes of subgraphs (Loop, If, Scan) are among the others, their names behind those of their owners.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx.inliner
import onnx.shape_inference
from onnx import AttributeProto, TensorProto, helper

from anomedge.errors import InputError
from anomedge.lint.shapes import content_of, inferred, inner_graphs
from anomedge.lint.skim import skim

__all__ = ["BITS", "Graph", "Node", "Value", "read_graph"]

Array = npt.NDArray[Any]

_NAMES = {
    "FLOAT": "FP32",
    "FLOAT16": "FP16",
    "BFLOAT16": "BF16",
    "FLOAT4E2M1": "FP4",
}
_MOST_DIMENSIONS, _MOST_NODES, _DEEPEST_CALLS = 64, 1_000_000, 200
BITS = {
    "FP32": 32, "FP16": 16, "BF16": 16, "DOUBLE": 64, "INT64": 64, "UINT64": 64, "INT32": 32, "UINT32": 32, "INT16": 16,
    "UINT16": 16, "INT8": 8, "UINT8": 8, "BOOL": 8, "INT4": 4, "UINT4": 4, "FP8": 8, "FP4": 4,
}  # fmt: skip
"""Bits of an element of each type."""


@dataclass(frozen=True)
class Value:
    """A tensor: its name, type (FP32, INT64, ...; empty where unknown), and shape (None where unknown)."""

    name: str
    kind: str
    shape: tuple[int | None, ...] | None

    @property
    def elements(self) -> int | None:
        """How many, None where the shape is not known."""
        return (
            None
            if self.shape is None or None in self.shape
            else math.prod(n for n in self.shape if n is not None)
        )


@dataclass
class Scope:
    """The names that a graph or a subgraph can see."""

    outer: Scope | None
    values: dict[str, Value] = field(default_factory=dict)
    constants: dict[str, Array | None] = field(default_factory=dict)

    def value(self, name: str) -> Value:
        """The value of a name."""
        found = self.values.get(name)
        if found is not None:
            return found
        return self.outer.value(name) if self.outer else Value(name, "", None)

    def constant(self, name: str) -> tuple[bool, Array | None]:
        """Is it a constant, and which one where its content is at hand?"""
        if name in self.constants:
            return True, self.constants[name]
        if name in self.values or self.outer is None:
            return False, None
        return self.outer.constant(name)


@dataclass(frozen=True)
class Node:
    """A node in its scope."""

    name: str
    op: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    scope: Scope

    @property
    def standard(self) -> bool:
        """Is it one of ONNX's own operators?"""
        return self.domain in {"", "ai.onnx"}

    def given(self, place: int) -> Value | None:
        """The value of an input, None where it is left out."""
        name = self.inputs[place] if place < len(self.inputs) else ""
        return self.scope.value(name) if name else None


@dataclass(frozen=True)
class Graph:
    """A graph of a file, its shapes at a batch.

    Attributes:
        path: the file.
        opset: of ONNX's own operators, None where the file does not say.
        nodes: with those of subgraphs.
        inputs, outputs: names.
        open_axes: of each input, which dimensions the file leaves open.
        tensors: all stored tensors, without the content of large ones.
        functions: domain and name of the functions that the file brings along, already written out in `nodes`.
        batch: frames that the shapes are for.
    """

    path: Path
    opset: int | None
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    open_axes: dict[str, tuple[int, ...]]
    tensors: tuple[Any, ...]
    functions: tuple[tuple[str, str], ...]
    batch: int

    @cached_property
    def values(self) -> tuple[tuple[Node | None, Value], ...]:
        """Every value with the node that makes it: inputs and stored tensors first."""
        scopes = {id(node.scope): node.scope for node in self.nodes}
        made = {
            (id(node.scope), name)
            for node in self.nodes
            for name in node.outputs
        }
        given = [
            (s, v)
            for s in scopes.values()
            for v in s.values.values()
            if (id(s), v.name) not in made
        ]
        named = [
            (node, node.scope.value(name))
            for node in self.nodes
            for name in node.outputs
            if name
        ]
        return (*((None, value) for _, value in given), *named)


def read_graph(path: Path, batch: int) -> Graph:
    """The graph of a file, its shapes for frames of a batch.

    Raises:
        InputError: the file is no ONNX graph.
    """
    model = skim(path)
    _assert_shapes_plain(model, path)
    functions = tuple((f.domain, f.name) for f in model.functions)
    if functions:
        _assert_expandable(model, path)
        model = _inlined(model, path)
    _assert_names_made(model.graph, path, set())
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
        tensors=tuple(_tensors(model.graph)),
        functions=functions,
        batch=batch,
    )


def type_name(kind: int) -> str:
    """The name of an element type.

    >>> type_name(TensorProto.FLOAT), type_name(TensorProto.UINT8)
    ('FP32', 'UINT8')
    """
    if (
        kind not in TensorProto.DataType.values()
        or kind == TensorProto.UNDEFINED
    ):
        return ""
    name = str(TensorProto.DataType.Name(kind))
    return "FP8" if name.startswith("FLOAT8") else _NAMES.get(name, name)


def _assert_shapes_plain(model: Any, path: Path) -> None:
    """A shape of hundreds of dimensions is nobody's, and its volume a number of thousands of digits."""
    values = (*model.graph.input, *model.graph.output, *model.graph.value_info)
    ranks = [len(value.type.tensor_type.shape.dim) for value in values]
    ranks += [len(tensor.dims) for tensor in _tensors(model.graph)]
    if max(ranks, default=0) > _MOST_DIMENSIONS:
        raise InputError(
            f"{path}: got a value of {max(ranks)} dimensions; expected {_MOST_DIMENSIONS} at most"
        )


def _assert_expandable(model: Any, path: Path) -> None:
    """Functions that call one another twice double at every step: forty of them fill any memory when written out."""
    bodies = {(f.domain, f.name): f.node for f in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(nodes: Any, depth: int) -> int:
        total = 0
        for node in nodes:
            key = (node.domain, node.op_type)
            if key in bodies and key not in sizes:
                if depth > _DEEPEST_CALLS:
                    raise InputError(
                        f"{path}: its functions call one another without end; export it again"
                    )
                sizes[key] = size(bodies[key], depth + 1)
            total += sizes.get(key, 1) + sum(
                size(graph.node, depth + 1) for graph in inner_graphs(node)
            )
        return total

    if (nodes := size(model.graph.node, 0)) > _MOST_NODES:
        raise InputError(
            f"{path}: got {nodes:.3g} nodes with its functions written out; expected {_MOST_NODES} at most"
        )


def _assert_names_made(graph: Any, path: Path, known: set[str]) -> None:
    """What nothing makes, or two nodes make, no runtime can read; a table of operators has nothing to say of it.

    `known` holds the names that the graphs around this one make, and is given back as it was.
    """
    stored = (
        *(t.name for t in graph.initializer),
        *(t.values.name for t in graph.sparse_initializer),
    )
    there = {*(value.name for value in graph.input), *stored}
    for node in graph.node:
        for name in filter(None, node.output):
            if name in there:
                raise InputError(
                    f"{path}: {name[:80]!r} is made twice; expected one node for each name: export it again"
                )
            there.add(name)
    own = there - known
    known |= own
    read = [
        (repr((node.name or node.op_type)[:80]), name)
        for node in graph.node
        for name in node.input
        if name
    ]
    for reader, name in (
        *read,
        *(("an output", value.name) for value in graph.output),
    ):
        if name not in known:
            raise InputError(
                f"{path}: {reader} reads {name[:80]!r}, which nothing makes; export it again"
            )
    for node in graph.node:
        for inner in inner_graphs(node):
            _assert_names_made(inner, path, known)
    known -= own


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
    """Set open first dimensions of inputs to a batch; returns which dimensions were open, and the first input's batch."""
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
    """Take the names of a graph into its scope."""
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


def _tensors(graph: Any) -> Iterator[Any]:
    """Stored tensors: initialisers, and those in attributes, in subgraphs too."""
    yield from graph.initializer
    for attribute in (a for node in graph.node for a in node.attribute):
        yield from (
            *attribute.tensors,
            *([attribute.t] if attribute.HasField("t") else []),
        )
        for inner in (
            *attribute.graphs,
            *([attribute.g] if attribute.HasField("g") else []),
        ):
            yield from _tensors(inner)


def _attribute(attribute: Any) -> Any:
    """An attribute's value: numbers, texts, lists of them; tensors as arrays; None of what no rule reads."""
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
    """A Constant node's output is a constant, and so is one that is only named anew."""
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
