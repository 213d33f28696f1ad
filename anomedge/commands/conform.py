"""anomedge conform: examine whether another program decides as the bundle's contract asks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anomedge.bundle import Bundle
from anomedge.commands._chosen_runtime import print_choice
from anomedge.commands._common_options import (
    Precision,
    Runtime,
    chosen_precision,
)
from anomedge.commands._console import SafeConsole
from anomedge.conformance import ClientCommand, Conformance, examine
from anomedge.errors import ProofFailed
from anomedge.files import canonical_json
from anomedge.inspector import Inspector

EXAMPLE = "anomedge conform part.anomedge --client './runner {bundle} {frame}'"

Option = typer.Option


def conform(
    bundle: Annotated[Path, typer.Argument(help="Bundle.")],
    client: Annotated[
        str,
        Option(
            help="Command of the client, with {bundle}, one of {frame}, {frames} and {raw}, and, if it writes maps, {map}."
        ),
    ],
    frames: Annotated[
        int, Option(min=1, help="Largest number of golden frames.")
    ] = 6,
    timeout: Annotated[
        float, Option(min=0.1, help="Limit of one call, in seconds.")
    ] = 60.0,
    runtime: Runtime = None,
    precision: Precision = None,
    as_json: Annotated[
        bool, Option("--json", help="Print the result as JSON.")
    ] = False,
) -> None:
    """Examine whether another program decides as the bundle's contract asks, and name the stage at which it departs.

    The program is called for golden frames, hard frames, frames of a wrong size, and with other settings and changed
    files of a copy of the bundle. For each frame it prints one line of JSON with "score" and "label" (normal or anomalous)
    and exits with 0; it refuses with another exit code. {frame} is a PNG, {frames} several, {raw} a file of raw RGB bytes.
    It writes the map to {map} as raw float32. Exit code 3: it departs.
    """
    command = ClientCommand(client, timeout)
    opened = Bundle.open(bundle)
    chosen = chosen_precision(opened, precision)
    with Inspector.open(opened, runtime, precision=chosen) as inspector:
        print_choice(inspector.session)
        result = examine(
            inspector,
            command,
            precision=chosen,
            most=frames,
            raw=command.is_raw,
            batches=command.takes_several,
            maps=command.writes_map,
        )
    _show(result, as_json)
    if not result.passed:
        stages = dict.fromkeys(finding.stage for finding in result.findings)
        raise ProofFailed(
            f"the client departs from the contract at: {', '.join(stages)}; mend the first stage and run this again"
        )


def _show(result: Conformance, as_json: bool) -> None:
    if as_json:
        content = {
            "passed": result.passed,
            "frames": result.frames,
            "findings": [finding._asdict() for finding in result.findings],
            "not_examined": result.not_examined,
        }
        typer.echo(canonical_json(content), nl=False)
        return
    console = SafeConsole()
    for finding in result.findings:
        console.print(f"{finding.stage}: {finding.text}", soft_wrap=True)
    for stage, reason in result.not_examined.items():
        console.print(f"not examined: {stage} ({reason})", soft_wrap=True)
    if result.passed:
        console.print(
            f"the client conforms: {result.frames} frames, and their sizes, settings and hashes",
            soft_wrap=True,
        )
