"""Refuse ONNX files that no runtime can read, or whose analysis would exhaust memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from anomedge.errors import InputError
from anomedge.lint.shapes import inner_graphs

__all__ = [
    "assert_expandable",
    "assert_names_defined",
    "assert_ranks_small",
    "stored_tensors",
]

_MOST_DIMENSIONS, _MOST_NODES, _DEEPEST_CALLS = 64, 1_000_000, 200


def assert_ranks_small(model: Any, path: Path) -> None:
    """Refuse values of more than 64 dimensions, whose volumes have thousands of digits."""
    values = (*model.graph.input, *model.graph.output, *model.graph.value_info)
    ranks = [len(value.type.tensor_type.shape.dim) for value in values]
    ranks += [len(tensor.dims) for tensor in stored_tensors(model.graph)]
    if max(ranks, default=0) > _MOST_DIMENSIONS:
        raise InputError(
            f"{path}: got a value of {max(ranks)} dimensions; expected {_MOST_DIMENSIONS} at most"
        )


def assert_expandable(model: Any, path: Path) -> None:
    """Refuse functions that expand to more than a million nodes: forty that call each other twice exhaust any memory."""
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


def assert_names_defined(graph: Any, path: Path, known: set[str]) -> None:
    """Refuse a graph that reads an undefined name or defines a name twice.

    `known` holds the names that outer graphs define; it is unchanged on return.
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
            assert_names_defined(inner, path, known)
    known -= own


def stored_tensors(graph: Any) -> Iterator[Any]:
    """Yield the stored tensors: initialisers and tensor attributes, those of subgraphs included."""
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
            yield from stored_tensors(inner)
