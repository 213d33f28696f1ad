"""anomedge inspect: show the content of a model or a bundle, or the estimated costs of a model on a device."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anomedge.budget import available as available_devices
from anomedge.budget import load as load_device
from anomedge.budget.summary import budget_of
from anomedge.bundle import Bundle
from anomedge.bundle.anatomy import StageAnatomy, anatomy_of
from anomedge.bundle.quantised import QuantisedNetworks
from anomedge.commands import _budget_tables as budget_tables
from anomedge.commands import _bundle_tables as tables
from anomedge.commands._arguments import parse_size
from anomedge.commands._common_options import Local
from anomedge.commands._console import wide_console
from anomedge.commands._quantisation import speed_note
from anomedge.commands._threshold_lines import (
    contract_line,
    local_fields,
    threshold_lines,
)
from anomedge.errors import InputError
from anomedge.files import canonical_json
from anomedge.names import storable
from anomedge.parity.carried_contracts import carried_contracts
from anomedge.parity.stored import StoredCertificate, stored_certificates
from anomedge.resample import Geometry, check_frame

if TYPE_CHECKING:
    from anomedge.pipelines.base import Pipeline

EXAMPLE = "anomedge inspect part.anomedge --graph"

_FRAME = (1080, 1920)

Option = typer.Option


def inspect(
    path: Annotated[
        Path, typer.Argument(help="A bundle, or a model file (needs torch).")
    ],
    graph: Annotated[
        bool,
        Option(
            "--graph",
            help="Show nodes and weights of every stage (needs onnx).",
        ),
    ] = False,
    device: Annotated[
        str | None,
        Option(
            help="Estimate the costs of a model before its export: sizes, memory, arithmetic and its time limit, with "
            f"suggestions. DEVICE: {', '.join(available_devices())}; or a .json file that describes your board."
        ),
    ] = None,
    frame: Annotated[
        str | None,
        Option(
            help="With --device: HxW of the camera's frames; 1080x1920 by default."
        ),
    ] = None,
    batch: Annotated[
        int | None,
        Option(
            min=1,
            max=4096,
            help="With --device: batch size; 1 by default.",
        ),
    ] = None,
    local: Local = None,
    as_json: Annotated[
        bool, Option("--json", help="Print everything as JSON.")
    ] = False,
) -> None:
    """Show the content of a bundle or a model: contract, sizes, thresholds and their origin, certificates, stages.

    With --device, estimate the costs of a model on that device.
    """
    if device is None and (frame is not None or batch is not None):
        raise InputError(
            "got --frame or --batch without --device; expected all of them: they are for a device's budget"
        )
    if path.is_file() and graph:
        raise InputError(
            f"got {path} and --graph; expected a bundle: a model has no graph before it is exported"
        )
    if local is not None and not path.is_dir():
        raise InputError(
            f"got {path} and --local; expected a bundle: a model has no local.json"
        )
    if device is not None:
        content, shown = _budget(path, device, frame, batch or 1)
    else:
        content, shown = (
            _model(path)
            if path.is_file()
            else _bundle(Bundle.open(path, local), graph)
        )
    if as_json:
        typer.echo(canonical_json(content), nl=False)
        return
    console = wide_console()
    for part in shown:
        # A long path must not break a line of text; tables fit the width.
        console.print(part, soft_wrap=isinstance(part, str))


def _bundle(bundle: Bundle, graph: bool) -> tuple[dict[str, Any], list[Any]]:
    stored, contracts = stored_certificates(bundle), carried_contracts(bundle)
    stages = _anatomies(bundle) if graph else {}
    content = {
        "path": storable(str(bundle.path)),
        "manifest": bundle.manifest.model_dump(mode="json"),
        **local_fields(bundle, bundle.local),
        "graph_contracts": asdict(contracts) | {"fits": contracts.fits},
        "certificates": [_certificate_fields(each) for each in stored],
        "stages": {
            precision: [asdict(part) for part in parts]
            for precision, parts in stages.items()
        },
    }
    shown = [
        tables.contract(bundle),
        tables.files(bundle),
        *threshold_lines(bundle, bundle.local),
        contract_line(contracts),
    ]
    shown += [
        *_quantisation(bundle.manifest.quantisation),
        *(
            [tables.ranges(bundle.manifest.ranges)]
            if bundle.manifest.ranges
            else []
        ),
        tables.certificates(stored, bundle.manifest.has_map),
        *(
            tables.stages(precision, parts)
            for precision, parts in stages.items()
        ),
    ]
    return content, shown


def _certificate_fields(stored: StoredCertificate) -> dict[str, Any]:
    """Return the fields of a certificate, for JSON."""
    return {
        "name": stored.shown_name,
        "batches": stored.batches,
        "objection": stored.objection,
        "passed": stored.passed,
        "verdict": stored.verdict,
    }


def _quantisation(stated: QuantisedNetworks | None) -> list[str]:
    """Return lines of text on quantised networks; none for float ones."""
    if stated is None:
        return []
    return [*stated.lines, *speed_note("int8", ["onnxruntime"])]


def _anatomies(bundle: Bundle) -> dict[str, list[StageAnatomy]]:
    names, variants = bundle.manifest.stages, bundle.manifest.variants.items()
    return {
        precision: anatomy_of(bundle.file(variant.graph("stages")), names)
        for precision, variant in variants
    }


def _budget(
    path: Path, name: str, frame: str | None, batch: int
) -> tuple[dict[str, Any], list[Any]]:
    device = load_device(name)
    if path.is_dir():
        raise InputError(
            f"got the folder {path} and --device; expected a model's file: a budget is made before the export, "
            f"a bundle is measured: anomedge bench"
        )
    size = parse_size(frame) if frame else _FRAME
    check_frame(size)
    from anomedge.budget.suggestions import suggestions
    from anomedge.budget.tracing import network_of
    from anomedge.pipelines.model import load

    model = load(path)
    network = network_of(model, size, batch)
    budget = budget_of(network, size, batch)
    advice = suggestions(model, network, budget, device)
    content = {
        "path": storable(str(path)),
        "detector": model.pipeline.name,
    } | budget_tables.content(budget, device, advice)
    title = f"{path}: {model.pipeline.describe()}"
    return content, [
        title,
        "",
        *budget_tables.shown(budget, device, advice, assumed=frame is None),
    ]


def _geometry(geometry: Geometry) -> dict[str, Any]:
    """Return size and crop, and region and tiling if there are some."""
    content = asdict(geometry)
    for name in ("region", "tiling"):
        if content[name] is None:
            del content[name]
    return content


def _model(path: Path) -> tuple[dict[str, Any], list[Any]]:
    from anomedge.export.quantising import statement
    from anomedge.pipelines.model import load

    model = load(path)
    quantisation = statement(model)
    tensors = [
        {
            "name": name,
            "shape": list(t.shape),
            "dtype": str(t.dtype).removeprefix("torch."),
            "bytes": t.nbytes,
        }
        for name, t in model.pipeline.state_dict().items()
    ]
    content = {
        "path": storable(str(path)),
        "detector": model.pipeline.name,
        "config": model.pipeline.config.model_dump(mode="json"),
        "geometry": _geometry(model.geometry)
        | ({"levels": model.levels} if model.levels else {}),
        "decision": model.decision.model_dump(mode="json"),
        "card": model.card.model_dump(mode="json"),
        "tensors": tensors,
    }
    if quantisation is not None:
        content["quantisation"] = quantisation.model_dump(mode="json")
    return content, [
        tables.model(content),
        *(quantisation.lines if quantisation is not None else ()),
        tables.tensors(tensors, _networks(model.pipeline)),
    ]


def _networks(pipeline: Pipeline[Any, Any]) -> list[str]:
    """Return the paths of the networks; of a detector around a module, those of the module's parts."""
    from anomedge.interop.module import ModulePipeline

    if not isinstance(pipeline, ModulePipeline):
        return list(pipeline.networks)
    return [f"module.{name}" for name, _ in pipeline.held.named_children()]
