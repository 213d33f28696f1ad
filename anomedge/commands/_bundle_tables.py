"""Tables of `anomedge inspect` for bundles and models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.table import Table

from anomedge.bundle import Bundle, Int8Search
from anomedge.bundle.anatomy import StageAnatomy
from anomedge.bundle.ranges import LARGEST, SAFETY, Range
from anomedge.commands._training_record import trained
from anomedge.commands._units import format_bytes
from anomedge.names import printable
from anomedge.parity.records import Cell
from anomedge.parity.statements import STATED
from anomedge.parity.stored import StoredCertificate
from anomedge.resample import Tiling
from anomedge.threshold import Origin

__all__ = [
    "certificates",
    "contract",
    "files",
    "model",
    "ranges",
    "stages",
    "tensors",
]


def contract(bundle: Bundle) -> Table:
    """Return the table of a bundle's detector, input, outputs, variants, versions and licences."""
    manifest = bundle.manifest
    geometry = manifest.geometry
    table = _plain_table()
    given = manifest.input
    frame = f"{given.name}: {given.dtype} ({given.batch}, {given.height}, {given.width}, 3) {given.colour}"
    outputs = (
        f"{o.name}: {o.dtype} ({', '.join(str(n) for n in ('B', *o.shape))})"
        for o in manifest.outputs
    )
    crop = (
        ""
        if manifest.image.crop is None
        else f", middle {_size(manifest.image.crop)} kept"
    )
    table.add_row("detector", _detector(manifest.detector, manifest.config))
    _add_layers(table, manifest.config)
    table.add_row("digest", manifest.digest)
    if given.resize is not None:
        frame += ", resized outside the graph from pictures of any size"
    table.add_row("input", frame)
    grid = f"; map {_size(geometry.image)}" if manifest.has_map else ""
    table.add_row(
        "image",
        f"{_levels(manifest.levels)}stretched to {_size(manifest.image.size)}{crop}{grid}",
    )
    _add_parts(table, asdict(geometry), manifest.config)
    table.add_row("output", "; ".join(outputs))
    table.add_row(
        "variants",
        ", ".join(manifest.variants) + f"; ONNX opset {manifest.opset}",
    )
    _add_search(table, manifest.search)
    table.add_row(
        "golden",
        f"{len(manifest.golden)} frames ({manifest.golden_source}), names and labels {STATED}",
    )
    tools = ", ".join(
        f"{name} {version}" for name, version in manifest.tools.items()
    )
    table.add_row("made by", f"{tools} ({STATED})")
    table.add_row(
        "licences",
        "; ".join(f"{name}: {text}" for name, text in manifest.licence.items()),
    )
    return table


def _levels(levels: tuple[int, int] | None) -> str:
    if levels is None:
        return ""
    return f"levels {levels[0]} to {levels[1]} mapped to 8 bits; "


def files(bundle: Bundle) -> Table:
    """Return the table of a bundle's files; golden frames share one row."""
    table = Table(
        "file", "size", "SHA-256", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    records = bundle.manifest.files
    for name, record in sorted(records.items()):
        if not name.startswith("golden/"):
            table.add_row(name, format_bytes(record.bytes), record.sha256[:16])
    golden = [
        record.bytes
        for name, record in records.items()
        if name.startswith("golden/")
    ]
    table.add_row(
        f"golden/ ({len(golden)} files)", format_bytes(sum(golden)), ""
    )
    table.add_row(
        "all",
        format_bytes(sum(record.bytes for record in records.values())),
        "",
    )
    return table


def certificates(
    stored: Sequence[StoredCertificate], has_map: bool = True
) -> Any:
    """Return the table of a bundle's certificates, invalid ones included."""
    if not stored:
        return "no certificate: nothing was proven of this copy yet (anomedge verify)"
    outputs = ("score", "map") if has_map else ("score",)
    table = Table(
        "certificate",
        "against",
        "cells",
        "batches",
        *(f"worst {name}" for name in outputs),
        "verdict",
        box=box.SIMPLE_HEAD,
    )
    for each in stored:
        proof = each.certificate
        if proof is None or each.objection:
            empty = [""] * len(outputs)
            table.add_row(each.shown_name, "", "", "", *empty, each.verdict)
            continue
        figures = [_worst(proof.cells, f"{name}_error") for name in outputs]
        cells = sorted(
            {f"{cell.runtime} {cell.precision}" for cell in proof.cells}
        )
        batches = ", ".join(map(str, each.batches))
        texts = (each.shown_name, proof.reference, ", ".join(cells), batches)
        table.add_row(
            *(printable(text) for text in texts), *figures, each.verdict
        )
    return table


def _worst(cells: Sequence[Cell], name: str) -> str:
    """Format the largest error of some cells."""
    errors = [getattr(cell, name) for cell in cells]
    known = [error for error in errors if error is not None]
    return f"{max(known, default=0):.1e}"


def _add_search(table: Table, found: Int8Search | None) -> None:
    if found is not None:
        table.add_row(
            "search",
            f"INT8, {found.candidates} candidates for each patch; the copy of the bank takes {format_bytes(found.bytes)}, as the bundle states",
        )


def ranges(found: Sequence[Range]) -> Table:
    """Return the table of value ranges of all quantities that are, or may become, float16."""
    table = Table(
        "float16", "quantity", "seen", "proven", "least", "verdict",
        title=f"seen: on pictures, or stored; proven: for features up to {SAFETY:.0f} times those seen; float16 ends at {LARGEST:.0f}",
        title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
    )  # fmt: skip
    for each in found:
        numbers = (
            "" if value is None else f"{value:.3g}"
            for value in (each.seen, each.bound, each.least)
        )
        table.add_row(
            "halved" if each.halved else "if lowered",
            each.name,
            *numbers,
            each.verdict,
        )
    return table


def stages(precision: str, parts: Sequence[StageAnatomy]) -> Table:
    """Return the table of a graph's stages: shapes, nodes, weights, operators."""
    table = Table(
        f"{precision} stage",
        "shape",
        "nodes",
        "weights",
        "operators",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for stage in parts:
        shape = "x".join("B" if n is None else str(n) for n in stage.shape)
        operators = ", ".join(
            f"{count} {kind}" for kind, count in stage.operators.items()
        )
        table.add_row(
            stage.name,
            shape,
            str(stage.nodes),
            format_bytes(stage.weight_bytes),
            operators,
        )
    nodes, weights = (
        sum(stage.nodes for stage in parts),
        sum(stage.weight_bytes for stage in parts),
    )
    table.add_row("all", "", str(nodes), format_bytes(weights), "")
    return table


def _measured_rows(origin: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield rows for the synthetic defects and outliers of a threshold's sample, if there are some."""
    if measured := origin.get("sensitivity"):
        yield (
            "sensitivity",
            f"{measured['caught']:.0%} of {measured['defects']} synthetic defects caught at "
            f"{measured['false_alarms']:.1%} false alarms, AUROC {measured['auroc']:.3f}",
        )
    if names := origin.get("outliers"):
        yield "outliers", ", ".join(names)


def _decision_rows(decision: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield rows for thresholds and scale, and their origin."""
    origin = Origin(**decision["origin"])
    pixels = ""
    if "pixel_threshold" in decision:
        pixels = f", pixels {decision['pixel_threshold']:.6g}"
    threshold = f"{decision['threshold']:.6g}{pixels}"
    yield "threshold", f"{threshold}: {origin.rule_in_words}"
    if origin.imported_from:
        yield "imported from", origin.imported_from
    yield "from", origin.sample_in_words
    yield from _measured_rows(decision["origin"])
    yield "scale", f"{decision['scale']:.6g}, {origin.scale_in_words}"


def _fitted(card: Mapping[str, Any]) -> str:
    """Return the pictures that a model was fitted to, as far as they are known."""
    if imported := card.get("imported"):
        beside = card.get("imported_beside", {}).items()
        files = "".join(f", with {name} of {digest}" for name, digest in beside)
        return f"unknown pictures, in the file of SHA-256 {imported}{files}"
    return f"{len(card['fitted'])} pictures, seed {card['seed']}"


def model(content: Mapping[str, Any]) -> Table:
    """Return the table of a model's properties, given the JSON content of `inspect`."""
    config, decision, card = (
        content["config"],
        content["decision"],
        content["card"],
    )
    geometry = content["geometry"]
    crop = (
        ""
        if geometry["crop"] is None
        else f", middle {_size(geometry['crop'])} kept"
    )
    table = _plain_table()
    table.add_row(
        "detector",
        f"{_detector(content['detector'], config)}, weights {card['weights']}",
    )
    _add_layers(table, config)
    table.add_row(
        "image",
        f"{_levels(geometry.get('levels'))}stretched to {_size(geometry['size'])}{crop}",
    )
    _add_parts(table, geometry, config)
    for row in _decision_rows(decision):
        table.add_row(*row)
    table.add_row("fitted to", _fitted(card))
    if card.get("training") is not None:
        table.add_row("trained", trained(card["training"]))
    table.add_row(
        "made by",
        ", ".join(
            f"{name} {version}" for name, version in card["tools"].items()
        ),
    )
    table.add_row(
        "licences",
        "; ".join(f"{name}: {text}" for name, text in card["licence"].items()),
    )
    return table


def tensors(
    found: Sequence[Mapping[str, Any]], networks: Sequence[str]
) -> Table:
    """Return the table of a model's tensors; those of a network, given by its path, share one row."""
    table = Table(
        "tensor",
        "shape",
        "type",
        "size",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    sizes: dict[str, list[int]] = {name: [] for name in networks}
    for tensor in found:
        name = tensor["name"]
        owner = next((n for n in networks if name.startswith(f"{n}.")), None)
        if owner is not None:
            sizes[owner].append(tensor["bytes"])
            continue
        shape = "x".join(map(str, tensor["shape"]))
        size = format_bytes(tensor["bytes"])
        table.add_row(name, shape, tensor["dtype"], size)
    for name, parts in sizes.items():
        total = format_bytes(sum(parts))
        table.add_row(f"{name} ({len(parts)} tensors)", "", "", total)
    return table


def _detector(name: str, config: Mapping[str, Any]) -> str:
    """Return the detector's name with its backbone, or with the description of the module that it was made around."""
    backbone = config.get("backbone")
    description = config.get("description", "")
    return (
        f"{name} on {backbone}"
        if backbone
        else f"{name} {description}".rstrip()
    )


def _add_layers(table: Table, config: Mapping[str, Any]) -> None:
    layers = config.get("layers") or ()
    if layers:
        table.add_row("layers", ", ".join(str(layer) for layer in layers))


def _add_parts(
    table: Table, geometry: Mapping[str, Any], config: Mapping[str, Any]
) -> None:
    """Add rows for the region and the tiles of a geometry, if there are some."""
    if geometry.get("region"):
        table.add_row("region", _region(geometry["region"], config))
    if geometry.get("tiling"):
        table.add_row("tiles", _tiles(geometry))


def _region(region: Sequence[float], config: Mapping[str, Any]) -> str:
    """Describe a region by its fractions of the frame."""
    top, left, bottom, right = (f"{edge:.2%}" for edge in region)
    shape = ", with a mask" if config.get("masked") is True else ""
    return (
        f"rows {top} to {bottom}, columns {left} to {right} of the frame{shape}"
    )


def _tiles(geometry: Mapping[str, Any]) -> str:
    """Describe the tiles of a geometry and their number."""
    tiling = Tiling(**geometry["tiling"])
    rows, columns = tiling.grid(geometry["crop"] or geometry["size"])
    return (
        f"{rows} x {columns} tiles of {_size(tiling.tile)}, overlapping by {tiling.overlap} or more; "
        f"score of the worst tile"
    )


class _PlainTable(Table):
    """A table that prints each text on one line, because texts come from files."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row."""
        shown = [printable(x) if isinstance(x, str) else x for x in cells]
        super().add_row(*shown, **options)


def _plain_table() -> Table:
    return _PlainTable(box=None, show_header=False, padding=(0, 2, 0, 0))


def _size(size: Sequence[int]) -> str:
    return f"{size[0]}x{size[1]}"
