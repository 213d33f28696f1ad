"""Rules about a whole graph: opset, file size, inputs, sizes of values."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from anomedge.lint.graph import BITS, Graph, Value
from anomedge.lint.rule import Count, GraphRule, Places

__all__ = [
    "Dimensions",
    "Domain",
    "FileSize",
    "Functions",
    "Integers",
    "Opset",
    "Precision",
    "Static",
    "Volume",
]


class Opset(GraphRule):
    """The ONNX opset lies in a range."""

    kind: Literal["opset"]
    least: Count
    most: Count

    def find(self, graph: Graph) -> Places:
        """Yield the graph if its opset is outside the range."""
        if graph.opset is None or not self.least <= graph.opset <= self.most:
            yield None, f"opset {graph.opset}"


class Domain(GraphRule):
    """Operators of other domains must be in a list, by domain."""

    kind: Literal["domain"]
    known: dict[str, tuple[str, ...]]

    def find(self, graph: Graph) -> Places:
        """Yield nodes of unlisted operators."""
        for node in graph.nodes:
            if not node.standard and node.op not in self.known.get(
                node.domain, ()
            ):
                yield node, f"an operator of {node.domain[:80]}"


class Functions(GraphRule):
    """The file defines no functions."""

    kind: Literal["functions"]

    def find(self, graph: Graph) -> Places:
        """Yield each function."""
        for domain, name in graph.functions:
            yield None, f"function {domain[:80]}.{name[:80]}"


class Volume(GraphRule):
    """Largest number of elements or bytes of a value or a stored tensor.

    Attributes:
        elements: largest number of elements.
        bytes: largest number of bytes.
        below: number of elements from which another rule applies.
    """

    kind: Literal["volume"]
    elements: Count | None = None
    bytes: Count | None = None
    below: Count | None = None

    def find(self, graph: Graph) -> Places:
        """Yield larger values; only the first of each node."""
        reported: set[int] = set()
        for node, value in graph.values:
            if self._outside(value) and (
                node is None or id(node) not in reported
            ):
                reported.add(id(node))
                yield (
                    node,
                    f'"{value.name}" has {_volume(value)} at batch {graph.batch}',
                )

    def _outside(self, value: Value) -> bool:
        count = value.elements
        if count is None or (self.below is not None and count >= self.below):
            return False
        size = count * BITS.get(value.kind, 0) // 8
        return (self.elements is not None and count > self.elements) or (
            self.bytes is not None and size > self.bytes
        )


class Dimensions(GraphRule):
    """Largest number of dimensions of a value."""

    kind: Literal["dimensions"]
    most: Count

    def find(self, graph: Graph) -> Places:
        """Yield values of more dimensions."""
        for node, value in graph.values:
            if value.shape is not None and len(value.shape) > self.most:
                yield node, f'"{value.name}" has {len(value.shape)} dimensions'


class FileSize(GraphRule):
    """Largest size of the graph's file."""

    kind: Literal["file-size"]
    bytes: Count

    def find(self, graph: Graph) -> Places:
        """Yield the graph if its file is larger."""
        size = graph.path.stat().st_size
        if size > self.bytes:
            yield None, f"a file of {size:,} bytes"


class Static(GraphRule):
    """Inputs have no open dimension, or only an open batch."""

    kind: Literal["static"]
    open: Literal["none", "batch"]

    def find(self, graph: Graph) -> Places:
        """Yield inputs with other open dimensions."""
        for name, axes in graph.open_axes.items():
            if self.open == "none" or any(axis > 0 for axis in axes):
                yield (
                    None,
                    f'dimensions {list(axes)} of the input "{name[:80]}" are open',
                )


class Integers(GraphRule):
    """INT64 constants fit into INT32; the extreme values, with which Slice means "to the end", are allowed."""

    kind: Literal["integers"]

    def find(self, graph: Graph) -> Places:
        """Yield nodes that read a larger constant."""
        ends = np.iinfo(np.int64)
        for node in graph.nodes:
            for name in node.inputs:
                content = node.scope.constant(name)[1] if name else None
                if content is None or content.dtype != np.int64:
                    continue
                odd = content[
                    (np.abs(content.astype(np.float64)) >= 2.0**31)
                    & (content != ends.max)
                    & (content > -ends.max)
                ]
                if odd.size:
                    yield node, f'the constant "{name}" has {odd.flat[0]}'


class Precision(GraphRule):
    """The graph does not compute in a type."""

    kind: Literal["precision"]
    type: str

    def find(self, graph: Graph) -> Places:
        """Yield the graph, once, if it does."""
        if any(
            node is not None and value.kind == self.type
            for node, value in graph.values
        ):
            yield None, f"computes in {self.type}"


def _volume(value: Value) -> str:
    shape = " x ".join(str(n) for n in value.shape or ())
    size = math.prod(n or 0 for n in value.shape or ())
    return f"{size:,} elements ({shape}, {value.kind or 'of an unknown type'})"
