"""Checks and edits that several steps of the export share: outputs, copies, unused constants, operators, opset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import onnx

from anomedge.errors import ExportError

__all__ = [
    "FORBIDDEN",
    "assert_opset",
    "assert_shared_operators",
    "copy_of",
    "cut_at_outputs",
    "drop_unused",
    "drop_unused_nodes",
    "remove_attribute",
    "set_outputs",
    "without_unused",
]

FORBIDDEN = frozenset(
    {"Einsum", "If", "Loop", "NonZero", "Resize", "Scan", "Upsample"}
)
"""Operators that some runtimes do not have, or compute differently."""

_LARGEST_COPY = 1 << 30
"""Bytes of weights above which a graph is not copied; protobuf's limit is 2 GiB."""


def set_outputs(
    proto: onnx.ModelProto, outputs: Sequence[onnx.ValueInfoProto]
) -> list[onnx.ValueInfoProto]:
    """Replace a graph's outputs in place; return the former ones."""
    former = [_copied(value) for value in proto.graph.output]
    chosen = [_copied(value) for value in outputs]
    del proto.graph.output[:]
    proto.graph.output.extend(chosen)
    return former


def cut_at_outputs(proto: onnx.ModelProto, given: str) -> onnx.ModelProto:
    """Copy the graph; replace every read of an output by an input named `<given><output>`.

    Requires: the weights lie in another file, because a copy must stay below protobuf's limit of 2 GiB.
    Ensures: each output depends on the inputs that replace earlier outputs, and on no other output.
    """
    cut = onnx.ModelProto()
    cut.CopyFrom(proto)
    for value in proto.graph.output:
        readers = [node for node in cut.graph.node if value.name in node.input]
        for node in readers:
            _replace_input(node, value.name, given + value.name)
        if readers:
            replacement = _copied(value)
            replacement.name = given + value.name
            cut.graph.input.append(replacement)
    return cut


def copy_of(proto: onnx.ModelProto) -> onnx.ModelProto | None:
    """Copy a graph; return None for one that is too large to copy."""
    size = sum(len(tensor.raw_data) for tensor in proto.graph.initializer)
    if size > _LARGEST_COPY:
        return None
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    return copy


def drop_unused(proto: onnx.ModelProto) -> bool:
    """Remove the constants that no node reads; return True if there were any."""
    used = {value.name for value in proto.graph.output}
    for node in proto.graph.node:
        used.update(node.input)
    constants = proto.graph.initializer
    count = len(constants)
    for place in reversed(range(count)):
        if constants[place].name not in used:
            del constants[place]
    return len(constants) < count


def drop_unused_nodes(proto: onnx.ModelProto) -> bool:
    """Remove the nodes that no output depends on, and the constants that no other node reads; return True for any."""
    kept = _used_nodes(proto)
    if len(kept) == len(proto.graph.node):
        return False
    _set_nodes(proto, kept)
    drop_unused(proto)
    return True


@contextmanager
def without_unused(proto: onnx.ModelProto) -> Iterator[None]:
    """Remove the nodes that no output depends on while the body runs, with the constants that they alone read."""
    nodes = [_copied_node(node) for node in proto.graph.node]
    read = {name for node in _used_nodes(proto) for name in node.input}
    constants = []
    for tensor in proto.graph.initializer:
        if tensor.name not in read:
            copy = onnx.TensorProto()
            copy.CopyFrom(tensor)
            constants.append(copy)
    removed = drop_unused_nodes(proto)
    yield
    if removed:
        _set_nodes(proto, nodes)
        proto.graph.initializer.extend(constants)


def _used_nodes(proto: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Return copies of the nodes that an output depends on."""
    used = {value.name for value in proto.graph.output}
    kept = []
    for node in reversed(proto.graph.node):
        if not used.isdisjoint(node.output):
            used.update(node.input)
            kept.append(_copied_node(node))
    return kept[::-1]


def _set_nodes(proto: onnx.ModelProto, nodes: Sequence[onnx.NodeProto]) -> None:
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)


def remove_attribute(node: onnx.NodeProto, name: str) -> bool:
    """Remove an attribute of a node; return True if the node had it."""
    kept = [each for each in node.attribute if each.name != name]
    found = len(kept) < len(node.attribute)
    del node.attribute[:]
    node.attribute.extend(kept)
    return found


def assert_opset(proto: onnx.ModelProto, opset: int) -> None:
    """Check that a graph has the opset asked for, and no other.

    Exporters convert to an older opset and only warn if that fails.

    Raises:
        ExportError: it has another one, or several.
    """
    found = {entry.domain: entry.version for entry in proto.opset_import}
    if found != {"": opset}:
        raise ExportError(
            f"got operator sets {found}; expected opset {opset} alone: give another --opset"
        )


def assert_shared_operators(
    proto: onnx.ModelProto, forbidden: frozenset[str] = FORBIDDEN
) -> None:
    """Check that every runtime has the operators of a graph.

    Args:
        proto: the graph.
        forbidden: operators that are refused beside those of foreign domains.

    Raises:
        ExportError: a foreign domain, a local function or a forbidden operator.
    """
    if proto.functions:
        raise ExportError(
            f"got {len(proto.functions)} local functions; expected plain operators: use another backbone"
        )
    for node in proto.graph.node:
        if node.domain or node.op_type in forbidden:
            raise ExportError(
                f"node {node.name} is a {node.domain or 'plain'} {node.op_type}; runtimes do not share it: "
                f"use a backbone or layer without it"
            )


def _replace_input(node: onnx.NodeProto, old: str, new: str) -> None:
    node.input[:] = [new if name == old else name for name in node.input]


def _copied(value: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    copy = onnx.ValueInfoProto()
    copy.CopyFrom(value)
    return copy


def _copied_node(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy
