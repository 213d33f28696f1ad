"""anomedge inspect: what a model or a bundle says of itself."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from anomedge.anatomy import StageAnatomy, anatomy_of
from anomedge.bundle import Bundle
from anomedge.commands import _tables as tables
from anomedge.commands._shared import threshold_lines, wide_console
from anomedge.errors import InputError
from anomedge.files import canonical_json
from anomedge.parity.stored import stored_certificates

EXAMPLE = "anomedge inspect part.anomedge --graph"

Option = typer.Option


def inspect(
    path: Annotated[Path, typer.Argument(help="A bundle, or a model file (needs torch).")],
    graph: Annotated[bool, Option("--graph", help="Show nodes and weights of every stage (needs onnx).")] = False,
    as_json: Annotated[bool, Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show what is inside a bundle or a model: contract, sizes, thresholds and their origin, certificates, stages."""
    if path.is_file() and graph:
        raise InputError(f"got {path} and --graph; expected a bundle: a model has no graph before it is exported")
    content, shown = _model(path) if path.is_file() else _bundle(Bundle.open(path), graph)
    if as_json:
        typer.echo(canonical_json(content), nl=False)
        return
    console = wide_console()
    for part in shown:
        console.print(part)


def _bundle(bundle: Bundle, graph: bool) -> tuple[dict[str, Any], list[Any]]:
    stored = stored_certificates(bundle)
    stages = _anatomies(bundle) if graph else {}
    content = {
        "path": str(bundle.path),
        "manifest": bundle.manifest.model_dump(mode="json"),
        "local": bundle.local.model_dump(mode="json", exclude_none=True) if bundle.local else None,
        "certificates": [
            {"name": s.name, "objection": s.objection, "passed": s.certificate.passed if s.certificate else None}
            for s in stored
        ],
        "stages": {precision: [asdict(part) for part in parts] for precision, parts in stages.items()},
    }
    shown = [tables.contract(bundle), tables.files(bundle), "\n".join(threshold_lines(bundle, bundle.local))]
    shown += [tables.certificates(stored), *(tables.stages(precision, parts) for precision, parts in stages.items())]
    return content, shown


def _anatomies(bundle: Bundle) -> dict[str, list[StageAnatomy]]:
    names, variants = bundle.manifest.stages, bundle.manifest.variants.items()
    return {precision: anatomy_of(bundle.file(variant.stages), names) for precision, variant in variants}


def _model(path: Path) -> tuple[dict[str, Any], list[Any]]:
    from anomedge.pipelines.model import load

    model = load(path)
    tensors = [
        {"name": name, "shape": list(t.shape), "dtype": str(t.dtype).removeprefix("torch."), "bytes": t.nbytes}
        for name, t in model.pipeline.state_dict().items()
    ]
    content = {
        "path": str(path),
        "detector": model.pipeline.name,
        "config": model.pipeline.config.model_dump(mode="json"),
        "geometry": {"size": model.geometry.size, "crop": model.geometry.crop},
        "decision": model.decision.model_dump(mode="json"),
        "card": model.card.model_dump(mode="json"),
        "tensors": tensors,
    }
    return content, [tables.model(content), tables.tensors(tensors)]
