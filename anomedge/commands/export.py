"""anomedge export, also `python -m anomedge.export`: a model in, a proven bundle out."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from anomedge.commands._shared import parse_batch, parse_size, show_certificate
from anomedge.errors import InputError
from anomedge.files import canonical_json

EXAMPLE = "python -m anomedge.export model.safetensors -o part.anomedge --frame 480x640 --golden pictures/"

Option = typer.Option


def export(
    model: Annotated[Path, typer.Argument(help="Model file that `anomedge fit` wrote.")],
    output: Annotated[Path, Option("--output", "-o", help="Bundle (a folder) to write.")],
    frame: Annotated[str, Option(help="HxW of the camera's frames.")],
    batch: Annotated[str, Option(help="dynamic, or the one batch size that the graph takes.")] = "dynamic",
    opset: Annotated[int, Option(help="ONNX opset.")] = 17,
    golden: Annotated[
        list[str] | None, Option(help="Folder of pictures to prove on, a few of which travel along; or synthetic.")
    ] = None,
    precision: Annotated[list[str] | None, Option(help="fp32.")] = None,
    runtime: Annotated[list[str] | None, Option(help="To prove under; all installed when not given.")] = None,
    force: Annotated[bool, Option(help="Replace an existing bundle.")] = False,
    as_json: Annotated[bool, Option("--json", help="Print the certificate as JSON.")] = False,
) -> None:
    """Export a model to one static graph and prove that every copy decides as eager Torch does."""
    from anomedge.export.bundling import ExportOptions
    from anomedge.export.bundling import export as run

    if unknown := sorted(set(precision or ["fp32"]) - {"fp32"}):
        raise InputError(f"got precision {unknown}; expected fp32, the one this version writes")
    folders = [Path(folder) for folder in golden or () if folder != "synthetic"]
    if golden is None:
        warnings.warn(
            "no pictures were given, so decisions are proven on synthetic frames only; give --golden DIR, or --golden synthetic",
            stacklevel=1,
        )
    options = ExportOptions(
        frame=parse_size(frame),
        batch=parse_batch(batch),
        opset=opset,
        golden=folders,
        runtimes=runtime or (),
        force=force,
    )
    certificate = run(model, output, options)
    if as_json:
        typer.echo(canonical_json(certificate.model_dump(mode="json")), nl=False)
        return
    show_certificate(certificate)
    Console().print(f"{output}: {certificate.bundle[:16]}, proven in {len(certificate.cells)} cells", highlight=False)
