"""anomedge export, also `python -m anomedge.export`: a model in, a proven bundle out."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anomedge.bundle import read_manifest
from anomedge.commands import _bundle_tables as tables
from anomedge.commands._arguments import parse_batch, parse_frame
from anomedge.commands._certificate_tables import show_certificate
from anomedge.commands._common_options import NormalLabel, Runtimes, Widen
from anomedge.commands._console import SafeConsole, wide_console
from anomedge.commands._quantisation import int8_options, speed_note
from anomedge.commands._recipes import read_recipe, recipe_options
from anomedge.files import canonical_json
from anomedge.layouts import LAYOUTS
from anomedge.precisions import written

if TYPE_CHECKING:
    from anomedge.parity import Certificate

EXAMPLE = "python -m anomedge.export model.safetensors -o part.anomedge --frame 480x640 --golden pictures/"

Option = typer.Option


def _help_on_layouts() -> str:
    layouts = LAYOUTS.members().items()
    lines = [f"{name}: {layout.summary}" for name, layout in layouts]
    return "; ".join(lines) + "."


def _help_on_precisions() -> str:
    lines = [f"{name}: {each.summary}" for name, each in written().items()]
    return "; ".join(lines) + "."


def _apply_recipe(context: typer.Context, name: str | None) -> str | None:
    """Make a recipe's values the defaults of the command, so that they are checked like the command line's."""
    if name is not None and not context.resilient_parsing:
        context.default_map = read_recipe(name, recipe_options(export))
    return name


def export(
    model: Annotated[
        Path, typer.Argument(help="Model file that `anomedge fit` wrote.")
    ],
    output: Annotated[
        Path, Option("--output", "-o", help="Bundle (a folder) to write.")
    ],
    frame: Annotated[
        str,
        Option(
            help="HxW of the camera's frames; any: pictures of any size, which the inspecting program resizes itself."
        ),
    ],
    batch: Annotated[
        str,
        Option(help="dynamic, or the one batch size that the graph takes."),
    ] = "dynamic",
    opset: Annotated[int, Option(help="ONNX opset.")] = 17,
    recipe: Annotated[
        str | None,
        Option(
            help="TOML file with any of these options, or the name of one in export/; the command line wins.",
            callback=_apply_recipe,
            is_eager=True,
        ),
    ] = None,
    golden: Annotated[
        list[str] | None,
        Option(
            help="Folder or list of pictures to prove on, a few of which travel along; or synthetic."
        ),
    ] = None,
    normal: NormalLabel = None,
    precision: Annotated[
        list[str] | None,
        Option(help=_help_on_precisions()),
    ] = None,
    runtime: Runtimes = None,
    search: Annotated[
        str,
        Option(
            help="Search of a memory bank: fp32, all of it; int8, candidates, with a proof; auto: int8 where it pays here."
        ),
    ] = "fp32",
    layout: Annotated[
        list[str] | None,
        Option(help=_help_on_layouts()),
    ] = None,
    widen: Widen = 1.0,
    calibrate: Annotated[
        list[str] | None,
        Option(
            help="int8: folder or list of the normal pictures that the model was fitted to; writes MODEL.int8.safetensors."
        ),
    ] = None,
    refit_on: Annotated[
        list[str] | None,
        Option(
            help="int8: normal pictures to estimate the statistics from, in place of the fitted ones."
        ),
    ] = None,
    quantise_only: Annotated[
        bool,
        Option(
            "--quantise-only",
            help="int8: keep the float detector's statistics.",
        ),
    ] = False,
    labelled: Annotated[
        list[str] | None,
        Option(
            help="int8: labelled pictures; their decisions are compared with the float detector's as well."
        ),
    ] = None,
    max_flips: Annotated[
        int,
        Option(help="int8: labels that may differ from the float detector's."),
    ] = 0,
    max_auroc_drop: Annotated[
        float, Option(help="int8: by how much the AUROC may fall, 0 to 1.")
    ] = 0.002,
    force: Annotated[bool, Option(help="Replace an existing bundle.")] = False,
    as_json: Annotated[
        bool, Option("--json", help="Print the certificate as JSON.")
    ] = False,
) -> None:
    """Export a model to one static graph and prove that every copy decides as eager Torch does."""
    from anomedge.export.bundling import ExportOptions
    from anomedge.export.bundling import export as run

    folders = [Path(folder) for folder in golden or () if folder != "synthetic"]
    if golden is None:
        warnings.warn(
            "no pictures were given, so decisions are proven on synthetic frames only; give --golden DIR, or --golden synthetic",
            stacklevel=1,
        )
    del recipe  # its callback made its values the defaults
    int8 = int8_options(
        calibrate or (),
        refit_on or (),
        quantise_only,
        labelled or (),
        max_flips,
        max_auroc_drop,
    )
    options = ExportOptions(
        frame=parse_frame(frame),
        batch=parse_batch(batch),
        opset=opset,
        golden=folders,
        runtimes=runtime or (),
        force=force,
        precisions=precision or ("fp32",),
        layout=layout or ("frames",),
        normal=normal,
        widen=widen,
        int8=int8,
        search=search,
    )
    certificate = run(model, output, options)
    if as_json:
        typer.echo(canonical_json(certificate.to_json()), nl=False)
        return
    _show(output, certificate)


def _show(output: Path, certificate: Certificate) -> None:
    """Print the certificate, value ranges for float16, and the quantisation."""
    show_certificate(certificate)
    manifest = read_manifest(output)
    if manifest.ranges:
        wide_console().print(tables.ranges(manifest.ranges))
    console = SafeConsole()
    if manifest.quantisation is not None:
        proven = [cell.runtime for cell in certificate.cells]
        notes = speed_note("int8", proven)
        for line in (*manifest.quantisation.lines, *notes):
            console.print(line, soft_wrap=True)
    count = len(certificate.cells)
    cells = "1 cell" if count == 1 else f"{count} cells"
    console.print(f"{output}: {certificate.bundle[:16]}, proven in {cells}")
