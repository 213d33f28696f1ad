"""Graph model of the rules: named nodes, values with types and shapes at one batch size, and small constants.

Shapes come from `onnx.shape_inference` on the graph without its weights; every open first dimension of an input is set
to the largest batch. Nodes of subgraphs (Loop, If, Scan) are included, named "<owner>.<attribute>/<node>".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy.typing as npt
from onnx import TensorProto

__all__ = ["BITS", "Graph", "Node", "Scope", "Value", "type_name"]

Array = npt.NDArray[Any]

_NAMES = {
    "FLOAT": "FP32",
    "FLOAT16": "FP16",
    "BFLOAT16": "BF16",
    "FLOAT4E2M1": "FP4",
}
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
        """Number of elements; None if the shape is unknown."""
        return (
            None
            if self.shape is None or None in self.shape
            else math.prod(n for n in self.shape if n is not None)
        )


@dataclass
class Scope:
    """The names visible in a graph or subgraph."""

    outer: Scope | None
    values: dict[str, Value] = field(default_factory=dict)
    constants: dict[str, Array | None] = field(default_factory=dict)

    def value(self, name: str) -> Value:
        """Return the value of a name, searching outer scopes too."""
        found = self.values.get(name)
        if found is not None:
            return found
        return self.outer.value(name) if self.outer else Value(name, "", None)

    def constant(self, name: str) -> tuple[bool, Array | None]:
        """Return whether a name is a constant, and its content if known."""
        if name in self.constants:
            return True, self.constants[name]
        if name in self.values or self.outer is None:
            return False, None
        return self.outer.constant(name)


@dataclass(frozen=True)
class Node:
    """A node and the scope of its names."""

    name: str
    op: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    scope: Scope

    @property
    def standard(self) -> bool:
        """Whether the operator is of the ONNX domain."""
        return self.domain in {"", "ai.onnx"}

    def given(self, place: int) -> Value | None:
        """Return the value of the input at an index; None if omitted."""
        name = self.inputs[place] if place < len(self.inputs) else ""
        return self.scope.value(name) if name else None


@dataclass(frozen=True)
class Graph:
    """A graph of a file, with shapes at one batch size.

    Attributes:
        path: the file.
        opset: version of the ONNX operators; None if the file states none.
        nodes: all nodes, those of subgraphs included.
        inputs, outputs: names.
        open_axes: indices of the open dimensions of each input.
        tensors: all stored tensors, without the content of large ones.
        functions: domain and name of the functions that the file defines; `nodes` holds them inlined.
        batch: number of frames of the shapes.
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
        """Every value with the node that produces it (None for inputs and stored tensors, which come first)."""
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


def type_name(kind: int) -> str:
    """Return the name of an element type; empty if unknown.

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
