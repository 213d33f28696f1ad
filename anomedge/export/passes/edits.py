"""Edits of a graph, each with what it requires and what it ensures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import onnx
from onnx import helper, numpy_helper

from anomedge.errors import ExportError

__all__ = [
    "assert_opset",
    "assert_shared_operators",
    "copy_of",
    "cut_at_outputs",
    "drop_unused",
    "fix_batch_name",
    "lower_opset",
    "set_outputs",
    "strip_metadata",
]

FORBIDDEN = frozenset(
    {"Einsum", "If", "Loop", "NonZero", "Resize", "Scan", "Upsample"}
)
BATCH = "batch"
_COPYABLE = 1 << 30


def lower_opset(proto: onnx.ModelProto, opset: int) -> None:
    """Rewrite a graph of opset 18 for opset 17, node by node.

    Requires: one opset import, of the default domain; no subgraphs.
    Ensures: every operator means at `opset` what it meant before, or an ExportError names the one that cannot.

    torch only writes 18 and its own conversion gives up on the whole graph over one `Pad`, with a warning. Between the
    two versions the operators we meet differ in where `axes` stands.
    """
    written = proto.opset_import[0].version
    if opset >= written:
        return
    if (written, opset) != (18, 17):
        raise ExportError(
            f"got opset {opset} from a graph of {written}; expected 17, 18 or what torch writes: give --opset 17"
        )
    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        if onnx.defs.get_schema(node.op_type, 18).since_version == 18:
            _LOWERINGS.get(node.op_type, _cannot)(node, constants)
    del proto.opset_import[:]
    proto.opset_import.append(helper.make_opsetid("", opset))
    drop_unused(proto)


def strip_metadata(proto: onnx.ModelProto) -> None:
    """Remove what differs between two exports of one model: stack traces, absolute paths, versions, inner shapes.

    Ensures: the same model gives the same bytes; no path of this machine is in the file.
    """
    onnx_graph = proto.graph
    for holder in [
        proto,
        onnx_graph,
        *onnx_graph.node,
        *onnx_graph.initializer,
        *onnx_graph.input,
        *onnx_graph.output,
    ]:
        del holder.metadata_props[:]
        holder.doc_string = ""
    del onnx_graph.value_info[:]
    onnx_graph.name = "anomedge"
    proto.producer_name, proto.producer_version = "anomedge", ""
    proto.ir_version = helper.find_min_ir_version_for(proto.opset_import)


def fix_batch_name(
    proto: onnx.ModelProto,
    batch: int | None,
    shapes: Mapping[str, Sequence[int]],
) -> None:
    """Name the batch axis, or make sure that it has the one size asked for.

    Ensures: input axes are (batch, fixed...), and no other axis of an input or output is open.

    Raises:
        ExportError: torch specialised the batch to its example.
    """
    for value in [*proto.graph.input, *proto.graph.output]:
        first, *rest = value.type.tensor_type.shape.dim
        if batch is None:
            if first.HasField("dim_value"):
                raise ExportError(
                    f"{value.name}: torch froze the batch to {first.dim_value}; expected any: "
                    f"this detector's forward depends on the batch, or give --batch {first.dim_value}"
                )
            first.dim_param = BATCH
        elif first.dim_value != batch:
            raise ExportError(
                f"{value.name}: got batch {first.dim_value}; expected {batch}"
            )
        if value.name in shapes and [d.dim_value for d in rest] != list(
            shapes[value.name]
        ):
            raise ExportError(
                f"{value.name}: got {[d.dim_value for d in rest]}; expected {list(shapes[value.name])}"
            )
        if any(not d.dim_value for d in rest):
            raise ExportError(
                f"{value.name}: only the batch may be open, another axis is; export with fixed sizes"
            )


def set_outputs(
    proto: onnx.ModelProto, outputs: Sequence[onnx.ValueInfoProto]
) -> list[onnx.ValueInfoProto]:
    """Give a graph these outputs, in this order, and return those it had.

    In place, because copying a graph of over 2 GiB is what protobuf cannot do.
    """
    former = [_copied(value) for value in proto.graph.output]
    chosen = [_copied(value) for value in outputs]
    del proto.graph.output[:]
    proto.graph.output.extend(chosen)
    return former


def cut_at_outputs(proto: onnx.ModelProto, given: str) -> onnx.ModelProto:
    """A copy in which whatever reads an output reads an input in its place, of the output's name behind `given`.

    Requires: the weights lie beside the graph; a copy of them could be more than protobuf takes.
    Ensures: each output follows from the inputs that stand for those before it, and from no other output.
    """
    cut = onnx.ModelProto()
    cut.CopyFrom(proto)
    for value in proto.graph.output:
        readers = [node for node in cut.graph.node if value.name in node.input]
        for node in readers:
            node.input[:] = [
                given + name if name == value.name else name
                for name in node.input
            ]
        if readers:
            stand_in = _copied(value)
            stand_in.name = given + value.name
            cut.graph.input.append(stand_in)
    return cut


def copy_of(proto: onnx.ModelProto) -> onnx.ModelProto | None:
    """The same graph once more; None for one so large that protobuf may refuse."""
    if (
        sum(len(tensor.raw_data) for tensor in proto.graph.initializer)
        > _COPYABLE
    ):
        return None
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    return copy


def assert_opset(proto: onnx.ModelProto, opset: int) -> None:
    """Refuse another opset than the one asked for: exporters convert down and, on failure, only warn.

    Raises:
        ExportError: it is another one, or not alone.
    """
    found = {entry.domain: entry.version for entry in proto.opset_import}
    if found != {"": opset}:
        raise ExportError(
            f"got operator sets {found}; expected opset {opset} alone: give another --opset"
        )


def assert_shared_operators(proto: onnx.ModelProto) -> None:
    """Refuse what runtimes do not share.

    Raises:
        ExportError: a foreign domain, a local function or a forbidden operator.
    """
    if proto.functions:
        raise ExportError(
            f"got {len(proto.functions)} local functions; expected plain operators: use another backbone"
        )
    for node in proto.graph.node:
        if node.domain or node.op_type in FORBIDDEN:
            raise ExportError(
                f"node {node.name} is a {node.domain or 'plain'} {node.op_type}; runtimes do not share it: "
                f"use a backbone or layer without it"
            )


def _axes_to_attribute(
    node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]
) -> None:
    """Reductions: `axes` was an attribute until 17 and is an input from 18 on."""
    if len(node.input) < 2:
        return
    axes = constants.get(node.input[1])
    if axes is None:
        raise ExportError(
            f"node {node.name}: axes computed at run time; expected a constant"
        )
    del node.input[1:]
    kept = [
        attribute
        for attribute in node.attribute
        if attribute.name != "noop_with_empty_axes"
    ]
    del node.attribute[:]
    node.attribute.extend(
        [
            *kept,
            helper.make_attribute("axes", numpy_helper.to_array(axes).tolist()),
        ]
    )


def _without_axes(
    node: onnx.NodeProto, _: Mapping[str, onnx.TensorProto]
) -> None:
    """Pad: 18 added an optional fourth input, `axes`, and the mode wrap."""
    if len(node.input) > 3 and node.input[3]:
        raise ExportError(
            f"node {node.name}: Pad over chosen axes needs opset 18; give --opset 18"
        )


def _without_count(
    node: onnx.NodeProto, _: Mapping[str, onnx.TensorProto]
) -> None:
    """Split: 18 added `num_outputs`, which 17 infers from the outputs' number when they are equal."""
    kept = [
        attribute
        for attribute in node.attribute
        if attribute.name != "num_outputs"
    ]
    del node.attribute[:]
    node.attribute.extend(kept)


def _cannot(node: onnx.NodeProto, _: Mapping[str, onnx.TensorProto]) -> None:
    raise ExportError(
        f"node {node.name} is a {node.op_type} that cannot be said in opset 17; give --opset 18"
    )


_REDUCTIONS = (
    "L1",
    "L2",
    "LogSum",
    "LogSumExp",
    "Max",
    "Mean",
    "Min",
    "Prod",
    "SumSquare",
)
_LOWERINGS: dict[
    str, Callable[[onnx.NodeProto, Mapping[str, onnx.TensorProto]], None]
] = {
    **{f"Reduce{kind}": _axes_to_attribute for kind in _REDUCTIONS},
    "Pad": _without_axes,
    "Split": _without_count,
}


def drop_unused(proto: onnx.ModelProto) -> None:
    """Remove the constants that no node reads."""
    used = {name for node in proto.graph.node for name in node.input} | {
        value.name for value in proto.graph.output
    }
    for place in reversed(range(len(proto.graph.initializer))):
        if proto.graph.initializer[place].name not in used:
            del proto.graph.initializer[place]


def _copied(value: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    copy = onnx.ValueInfoProto()
    copy.CopyFrom(value)
    return copy
