"""anomedge demo: fit, export, prove and inspect on photographs, without a network or a camera."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from anomedge.commands._arguments import parse_size
from anomedge.commands._certificate_tables import show_certificate
from anomedge.commands._console import SafeConsole
from anomedge.demo.textures import TEXTURES, PictureSet
from anomedge.files import canonical_json

if TYPE_CHECKING:
    from anomedge.demo.run import Outcome

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
    texture: Annotated[
        str, Option(help=f"One of: {', '.join(TEXTURES)}.")
    ] = "gravel",
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
    for outcome in outcomes:
        console.rule(outcome.detector, align="left")
        show_certificate(outcome.certificate)
    console.print(_table(outcomes))
    for outcome in outcomes:
        console.print(
            f"look at {outcome.sheet}; try: anomedge predict {outcome.bundle} {output / 'pictures' / 'test'}"
        )


def _table(outcomes: Sequence[Outcome]) -> Table:
    count = outcomes[0].certificate.pictures
    table = Table(
        "detector",
        "runtime",
        "image AUROC",
        "pixel AUROC",
        "flips",
        "worst error",
        "ms a frame",
        box=box.SIMPLE_HEAD,
        caption=f"image AUROC {count.of_labels}, pixel AUROC {count.of_masks}",
        caption_justify="left",
    )
    for outcome in outcomes:
        for runtime, milliseconds in outcome.milliseconds.items():
            table.add_row(
                outcome.detector,
                runtime,
                *_figures(outcome, runtime),
                f"{milliseconds:.1f}",
            )
    return table


def _figures(outcome: Outcome, runtime: str) -> list[str]:
    """Return image AUROC, pixel AUROC, number of flips and worst error of a runtime."""
    cells = [
        cell for cell in outcome.certificate.cells if cell.runtime == runtime
    ]
    flips = sum(len(cell.flips) for cell in cells)
    worst = max(max(cell.score_error, cell.map_error or 0.0) for cell in cells)
    return [
        _auroc(cells[0].image_auroc),
        _auroc(cells[0].pixel_auroc),
        str(flips),
        f"{worst:.1e}",
    ]


def _auroc(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
