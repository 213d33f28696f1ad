"""Write the graphs of one precision: the model, its stages, its layouts, and their IRs, each with the contract."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx

from anomedge.bundle import Manifest, Variant
from anomedge.bundle.graph_contract import as_properties, entries_of_contract
from anomedge.bundle.variants import MODEL, SEGMENTS, STAGES
from anomedge.export.graphs import (
    cut_at_outputs,
    drop_unused_nodes,
    set_outputs,
    without_unused,
)
from anomedge.export.options import ExportOptions
from anomedge.export.tracing import Tracer, keep_shipped_outputs
from anomedge.export.writing import write_ir, write_onnx, write_tapped
from anomedge.layouts import Frames, Layout
from anomedge.parity.segments import GIVEN
from anomedge.precisions import PRECISIONS

__all__ = ["variant_files", "write_graphs"]


def write_graphs(
    root: Path,
    graph: onnx.ModelProto,
    manifest: Manifest,
    precision: str,
    options: ExportOptions,
    tracer: Tracer,
) -> None:
    """Write the graphs of a precision; only shipped ones carry the contract, so stages and segments stay comparable.

    Args:
        root: folder of the bundle.
        graph: the traced graph, which is edited.
        manifest: a draft, for the contract.
        precision: its name.
        options: the layouts.
        tracer: checks the graph of each layout.
    """
    variant = variant_files(options.layouts, precision)
    shipped = root / variant.graph()
    contract = entries_of_contract(manifest, Frames.form())
    taps = keep_shipped_outputs(graph)
    _add_properties(graph, contract)
    with without_unused(graph):
        holder = write_onnx(graph, shipped)
    del graph.metadata_props[:]
    set_outputs(graph, taps)
    write_tapped(graph, shipped, holder, root / variant.graph(STAGES))
    segments = cut_at_outputs(graph, GIVEN)
    write_tapped(segments, shipped, holder, root / variant.graph(SEGMENTS))
    _write_ir(root, variant, MODEL, None, contract)
    keep_shipped_outputs(graph)
    drop_unused_nodes(graph)
    for layout in options.layouts:
        if layout.is_written_in(precision):
            _write_layout(
                root, graph, manifest, variant, layout, holder, tracer
            )


def _write_layout(
    root: Path,
    graph: onnx.ModelProto,
    manifest: Manifest,
    variant: Variant,
    layout: type[Layout],
    holder: Path,
    tracer: Tracer,
) -> None:
    """Write the graph of a layout, which reads the weights of the shipped graph."""
    laid_out = onnx.ModelProto()
    laid_out.CopyFrom(graph)
    decision = manifest.decision
    layout.rewrite(laid_out, decision)
    tracer.check(laid_out)
    contract = entries_of_contract(manifest, layout.form())
    _add_properties(laid_out, contract)
    shipped, path = root / variant.graph(), root / variant.graph(layout.name)
    write_tapped(laid_out, shipped, holder, path)
    info = layout.model_info(decision)
    _write_ir(root, variant, layout.name, info, contract)


def _add_properties(
    graph: onnx.ModelProto, contract: Mapping[str, str]
) -> None:
    for key, value in as_properties(contract).items():
        graph.metadata_props.add(key=key, value=value)


def _write_ir(
    root: Path,
    variant: Variant,
    role: str,
    info: Mapping[str, str] | None,
    contract: Mapping[str, str],
) -> None:
    """Write the IR of a graph where OpenVINO is installed; warn once for the model where it is not."""
    path = variant.find(role, "openvino")
    if path is not None:
        write_ir(root / variant.graph(role), root / path, info, contract)
    elif role == MODEL:
        warnings.warn(
            "openvino is not installed, so the bundle has no IR; it reads the ONNX graph as well",
            stacklevel=2,
        )


def variant_files(layouts: Sequence[type[Layout]], precision: str) -> Variant:
    """Return the files of a precision, those of the layouts that are written in it included."""
    name_of = PRECISIONS.get(precision).file_name
    added = [each.name for each in layouts if each.is_written_in(precision)]
    graphs = {
        (role, "onnx"): name_of(role, ".onnx")
        for role in (MODEL, STAGES, SEGMENTS, *added)
    }
    if importlib.util.find_spec("openvino") is not None:
        for role in (MODEL, *added):
            file = name_of(role, ".xml")
            graphs[role, "openvino"] = f"openvino/{file}"
    return Variant.of(graphs)
