"""anomedge demo: the whole job on real pictures, without a network or a camera."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from anomedge.commands._arguments import parse_size
from anomedge.commands._certificate_tables import show_certificate
from anomedge.commands._console import SafeConsole
from anomedge.files import canonical_json

EXAMPLE = "anomedge demo -o demo-out"

Option = typer.Option


def demo(
    output: Annotated[
        Path,
        Option(
            "--output",
            "-o",
            help="Folder for pictures, models, bundles and overlays.",
        ),
    ] = Path("demo-out"),
    texture: Annotated[str, Option(help="brick, grass or gravel.")] = "gravel",
    frame: Annotated[str, Option(help="HxW of the pictures.")] = "480x640",
    seed: Annotated[
        int, Option(help="The same seed makes the same pictures.")
    ] = 0,
    as_json: Annotated[
        bool, Option("--json", help="Print the outcome as JSON.")
    ] = False,
) -> None:
    """Fit, export, prove and inspect with PaDiM and PatchCore on texture photographs."""
    from anomedge.demo.run import run
    from anomedge.demo.textures import PictureSet

    console = SafeConsole(stderr=as_json)
    outcomes = run(
        output, PictureSet(parse_size(frame), texture, seed=seed), console.print
    )
    if as_json:
        rows = [
            {
                "detector": o.detector,
                "milliseconds": o.milliseconds,
                "certificate": o.certificate.to_json(),
            }
            for o in outcomes
        ]
        typer.echo(canonical_json(rows), nl=False)
        return
    table = Table(
        "detector",
        "runtime",
        "image AUROC",
        "pixel AUROC",
        "flips",
        "worst error",
        "ms a frame",
        box=box.SIMPLE_HEAD,
    )
    for outcome in outcomes:
        console.rule(outcome.detector, align="left")
        show_certificate(outcome.certificate)
        for runtime, milliseconds in outcome.milliseconds.items():
            cells = [
                cell
                for cell in outcome.certificate.cells
                if cell.runtime == runtime
            ]
            worst = max(max(cell.score_error, cell.map_error) for cell in cells)
            ranks = [
                f"{rank:.4f}" if rank is not None else "-"
                for rank in (cells[0].image_auroc, cells[0].pixel_auroc)
            ]
            flips = str(sum(len(cell.flips) for cell in cells))
            table.add_row(
                outcome.detector,
                runtime,
                *ranks,
                flips,
                f"{worst:.1e}",
                f"{milliseconds:.1f}",
            )
    console.print(table)
    for outcome in outcomes:
        console.print(
            f"look at {outcome.sheet}; try: anomedge predict {outcome.bundle} {output / 'pictures' / 'test'}"
        )
