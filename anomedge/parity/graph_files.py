"""Check the files of all graphs of a bundle against its manifest, also those of graphs that a proof does not run.

A runtime shows some of a graph only: not an input with a default value, nor bytes that no constant names. So these
checks read the files. They expect that the operators of all graphs were found to be allowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from anomedge.bundle import SEARCH_STAGES, Bundle
from anomedge.bundle.interface import (
    Interface,
    Value,
    interface_of_ir,
    interface_of_onnx,
    opsets_of_onnx,
)
from anomedge.bundle.notes import notes_of_ir, notes_of_onnx
from anomedge.bundle.spare import (
    Span,
    spans_of_ir,
    spare_bytes,
    unused_parts,
)
from anomedge.bundle.variants import (
    FORMATS,
    MODEL,
    SEGMENTS,
    STAGES,
    Variant,
)
from anomedge.errors import InputError
from anomedge.layouts import LAYOUTS
from anomedge.parity.belonging import GIVEN, fault_of_segments
from anomedge.parity.metadata import carries_contract, faults_of_contract
from anomedge.parity.search import DISTANCES
from anomedge.parity.search_record import faults_of_search
from anomedge.runtimes.external_tensors import external_tensors

__all__ = ["faults_of_files"]

_ONNX, _IR = FORMATS
_SHOWN = 3
"""Faults of one check that its detail lists."""


class _Graph(NamedTuple):
    """A graph's role and file, and the facts that its file states; operator sets of an ONNX file only."""

    role: str
    file: str
    interface: Interface
    opsets: list[tuple[str, int]] | None
    constants: _Constants


class _Constants(NamedTuple):
    """Spans of a graph's constants in other files, by file, and one phrase per fault."""

    spans: dict[str, list[Span]]
    faults: list[str]


def faults_of_files(bundle: Bundle) -> dict[str, str]:
    """Return the faults of every check of the graphs' files, by its name; empty for a check that passed.

    - interfaces: inputs and outputs in name, order, type, shape and number. Those of the shipped graph are the
      manifest's, those of a layout the installed layout's; graphs of stages have the manifest's stages as outputs.
    - opset: the operator set of every ONNX graph is the manifest's.
    - weights: every constant is read, and every byte of a weight file belongs to a constant; graphs have no notes but
      the metadata of layouts, and contracts are the manifest's; the record of an INT8 search is the graph's.
    - segments: the cut graph is the graph of stages, cut at every stage.
    """
    try:
        with_contract = carries_contract(bundle)
        graphs = [
            _read(bundle, *place, with_contract) for place in _places(bundle)
        ]
    except ValueError as error:
        return {"interfaces": f"a graph cannot be read ({error})"}
    checks = {
        "interfaces": _faults_of_interfaces(bundle, graphs),
        "opset": _faults_of_opsets(bundle, graphs),
        "weights": _faults_of_weights(bundle, graphs),
        "segments": _faults_of_segments(bundle),
    }
    return {name: _joined(list(faults)) for name, faults in checks.items()}


def _joined(faults: list[str]) -> str:
    more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return "; ".join(faults[:_SHOWN]) + more


def _read(
    bundle: Bundle, role: str, kind: str, name: str, with_contract: bool
) -> _Graph:
    """Read a graph's file once, because one with its weights may be large."""
    content = bundle.read(name)
    is_layout = role not in (MODEL, STAGES, SEGMENTS)
    has_contract = with_contract and role not in (STAGES, SEGMENTS)
    if kind == _ONNX:
        constants = _constants_of_onnx(bundle, name, content)
        notes = notes_of_onnx(
            content, is_layout=is_layout, has_contract=has_contract
        )
        constants.faults.extend(notes)
        if has_contract:
            constants.faults.extend(
                faults_of_contract(bundle, role, name, content)
            )
        return _Graph(
            role,
            name,
            interface_of_onnx(content),
            opsets_of_onnx(content),
            constants,
        )
    spans, wrong = spans_of_ir(content)
    wrong += notes_of_ir(
        content, is_layout=is_layout, has_contract=has_contract
    )
    # OpenVINO reads no file with notes.
    if has_contract and not wrong:
        wrong += faults_of_contract(bundle, role, name, content)
    weights = {name.removesuffix(".xml") + ".bin": spans}
    return _Graph(
        role, name, interface_of_ir(content), None, _Constants(weights, wrong)
    )


def _faults_of_interfaces(
    bundle: Bundle, graphs: Sequence[_Graph]
) -> Iterator[str]:
    for graph in graphs:
        found = graph.interface
        expected = _expected(bundle, graph.role, found)
        for side, got, wanted in (
            ("inputs", found.inputs, expected.inputs),
            ("outputs", found.outputs, expected.outputs),
        ):
            if got != wanted:
                yield f"{graph.file} has the {side} {_shown(got)}; expected {_shown(wanted)}"


def _faults_of_opsets(
    bundle: Bundle, graphs: Sequence[_Graph]
) -> Iterator[str]:
    wanted = [("", bundle.manifest.opset)]
    for graph in graphs:
        if graph.opsets is not None and graph.opsets != wanted:
            shown = ", ".join(f"{d[:20]!r} {v}" for d, v in graph.opsets[:3])
            yield f"{graph.file} has the operator sets {shown or 'none'}; the manifest says '' {wanted[0][1]}"


def _faults_of_weights(
    bundle: Bundle, graphs: Sequence[_Graph]
) -> Iterator[str]:
    spans: dict[str, list[Span]] = {}
    for graph in graphs:
        yield from (f"{graph.file}: {line}" for line in graph.constants.faults)
        for file, own in graph.constants.spans.items():
            spans.setdefault(file, []).extend(own)
    for file in bundle.manifest.files:
        if file.endswith((".bin", ".data")):
            spare = spare_bytes(bundle.read(file), spans.get(file, []))
            if spare:
                yield f"{file} has {spare} bytes that belong to no constant"
    yield from faults_of_search(bundle)


def _faults_of_segments(bundle: Bundle) -> Iterator[str]:
    """Yield one phrase per cut graph that is not the graph of stages, cut at every stage."""
    for variant in bundle.manifest.variants.values():
        name = variant.find(SEGMENTS)
        if name is not None:
            stages = variant.graph(STAGES)
            fault = fault_of_segments(bundle.read(stages), bundle.read(name))
            if fault:
                yield f"{name} does not belong to {stages}: {fault}"


def _constants_of_onnx(bundle: Bundle, name: str, content: bytes) -> _Constants:
    spans: dict[str, list[Span]] = {}
    faults = list(unused_parts(content))
    folder = PurePosixPath(name).parent
    for tensor in external_tensors(content):
        file = (folder / tensor.file).as_posix()
        own = tensor.name[:60]
        if file not in _holders(bundle):
            faults.append(
                f"the values of {own!r} lie in {file[:60]}, which holds no weights"
            )
        record = bundle.manifest.files.get(file)
        end = record.bytes if record else 0
        if tensor.length is not None:
            end = tensor.offset + tensor.length
        spans.setdefault(file, []).append(Span(tensor.offset, end))
        if tensor.needed not in (None, end - tensor.offset):
            faults.append(
                f"constant {own!r} takes {end - tensor.offset} bytes; expected {tensor.needed}"
            )
    return _Constants(spans, faults)


def _holders(bundle: Bundle) -> set[str]:
    """Return the files that may hold values of ONNX graphs: each variant's model, and the file beside it."""
    models = {v.graph() for v in bundle.manifest.variants.values()}
    return models | {f"{name}.data" for name in models}


def _places(bundle: Bundle) -> Iterator[tuple[str, str, str]]:
    """Yield role, format and file of every graph of every variant, each once."""
    seen = set[tuple[str, str, str]]()
    for variant in bundle.manifest.variants.values():
        for place in _graphs_of(variant):
            if place not in seen:
                seen.add(place)
                yield place


def _graphs_of(variant: Variant) -> Iterator[tuple[str, str, str]]:
    for role in (MODEL, STAGES, SEGMENTS, *variant.layouts()):
        for kind in FORMATS:
            name = variant.find(role, kind)
            if name is not None:
                yield role, kind, name


def _expected(bundle: Bundle, role: str, found: Interface) -> Interface:
    manifest = bundle.manifest
    batch = manifest.input.batch
    count = None if batch == "dynamic" else int(batch)
    frames = Value(
        manifest.input.name,
        manifest.input.dtype,
        (count, *manifest.input.frame, 3),
    )
    promised = {
        output.name: Value(output.name, output.dtype, (count, *output.shape))
        for output in manifest.outputs
    }
    if role == MODEL:
        return Interface((frames,), tuple(promised.values()))
    if role == STAGES:
        return Interface((frames,), _stages(bundle, found, promised))
    if role == SEGMENTS:
        outputs = _stages(bundle, found, promised)
        return Interface((frames, *_given(found, outputs)), outputs)
    return _of_layout(bundle, role, found, frames, promised)


def _stages(
    bundle: Bundle, found: Interface, promised: dict[str, Value]
) -> tuple[Value, ...]:
    """Return the outputs of a graph of stages; the manifest has no shapes of inner stages, so those found count."""
    own = {value.name: value for value in found.outputs}
    return tuple(
        promised.get(name) or own.get(name) or Value(name, "float32", ())
        for name in _stage_names(bundle)
    )


def _stage_names(bundle: Bundle) -> list[str]:
    """Return the outputs of a graph of stages: the manifest's stages, and those that prove a search behind the distances."""
    names: list[str] = []
    for name in bundle.manifest.stages:
        names.append(name)
        if name == DISTANCES and bundle.manifest.search is not None:
            names += SEARCH_STAGES
    return names


def _given(found: Interface, outputs: tuple[Value, ...]) -> list[Value]:
    """Return the inputs that replace stages, those that the cut graph has; `faults_of_segments` checks which."""
    taken = {value.name for value in found.inputs}
    given = [value._replace(name=GIVEN + value.name) for value in outputs]
    return [value for value in given if value.name in taken]


def _of_layout(
    bundle: Bundle,
    role: str,
    found: Interface,
    frames: Value,
    promised: dict[str, Value],
) -> Interface:
    try:
        layout = LAYOUTS.get(role)
    except InputError:
        # The check of the layout itself fails by name.
        return found
    count, *sizes = frames.shape
    feed = layout.feed(
        np.zeros((1, *map(int, (s or 0 for s in sizes))), np.uint8)
    )
    inputs = [
        Value(name, array.dtype.name, (count, *array.shape[1:]))
        for name, array in feed.items()
    ]
    outputs = [
        promised[output.quantity]._replace(name=name, dtype=output.dtype)
        for name, output in layout.outputs_of(bundle.manifest.has_map).items()
    ]
    return Interface(tuple(inputs), tuple(outputs))


def _shown(values: tuple[Value, ...]) -> str:
    more = f" and {len(values) - 8} more" if len(values) > 8 else ""
    return (", ".join(map(str, values[:8])) or "none") + more
