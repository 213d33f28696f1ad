"""anomedge doctor: report what this device has, which runtimes open a bundle on it, and what is not verified."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from anomedge.bundle import Bundle
from anomedge.commands._common_options import Precision, chosen_precision
from anomedge.commands._console import SafeConsole
from anomedge.doctor.base import Finding
from anomedge.doctor.examine import Diagnosis, examine
from anomedge.doctor.opening import Opening, classes
from anomedge.errors import InputError, TargetRefused
from anomedge.files import canonical_json

EXAMPLE = "anomedge doctor part.anomedge"

Option = typer.Option

_COLOURS = {"present": "green", "absent": "yellow", "broken": "red"}


def doctor(
    bundle: Annotated[
        Path | None,
        typer.Argument(help="Bundle to open; the device alone without one."),
    ] = None,
    precision: Precision = None,
    seconds: Annotated[
        int,
        Option(
            min=1,
            help="Time limit of each probe and each opening. The first opening under TensorRT builds an engine, which takes "
            "minutes on a small board.",
        ),
    ] = 60,
    as_json: Annotated[
        bool, Option("--json", help="Print everything as JSON.")
    ] = False,
) -> None:
    """Report drivers, runtimes and devices of this machine, and which of them open a bundle and how fast.

    Every probe and every opening runs in a process of its own, because vendors' libraries may crash. Times are of a few calls
    with a black frame. Nothing is proven: `anomedge verify` does that. Exit code 3: no runtime opens the bundle or, without a
    bundle, a graph of one layer.
    """
    opened = None
    if bundle is None and precision is not None:
        raise InputError(
            "got --precision without a bundle; expected a bundle to open: anomedge doctor BUNDLE"
        )
    if bundle is not None:
        opened = Bundle.open(bundle)
        precision = chosen_precision(opened, precision)
    found = examine(opened, precision or "fp32", seconds)
    if as_json:
        typer.echo(canonical_json(found.to_json()), nl=False)
    else:
        _show(found)
    if not found.works:
        raise TargetRefused(
            f"no runtime opens {bundle or 'a graph of one layer'} here; expected at least one: the reasons are above"
        )


def _show(found: Diagnosis) -> None:
    console = SafeConsole()
    for title, findings in found.findings.items():
        console.print(Text(title, style="bold"))
        for finding in findings:
            console.print(_line(finding))
    subject = found.bundle or "a graph of one layer"
    console.print(Text(f"runs {subject}, {found.precision}", style="bold"))
    speeds = classes(found.openings)
    for opening, speed in zip(found.openings, speeds, strict=True):
        console.print(_opening_line(opening, speed if found.bundle else ""))
    if found.missing:
        console.print(
            f"missing shared libraries: {', '.join(found.missing)}",
        )
    console.print(Text("without --runtime", style="bold"))
    console.print(f"  {_choice_line(found)}")
    if found.faster:
        console.print(f"  measured faster here: --runtime {found.faster}")
    _show_unverified(console, found)


def _choice_line(found: Diagnosis) -> str:
    return found.choice.line if found.choice else found.no_choice


def _line(finding: Finding) -> Text:
    colour = _COLOURS[finding.state]
    return Text.assemble(
        "  ",
        (f"{finding.state:8}", colour),
        f"{finding.title}: {finding.value}",
    )


def _opening_line(opening: Opening, speed: str) -> Text:
    name = opening.runtime
    if opening.device is not None:
        name += f" --device {opening.device}"
    if not opening.opens:
        return Text.assemble(
            "  ", ("no      ", "red"), f"{name}: {opening.reason}"
        )
    parts = [f"{name} {opening.version} on {opening.running_on}"]
    if speed and opening.milliseconds is not None:
        parts.append(f"{opening.milliseconds:.2f} ms a frame, {speed}")
    return Text.assemble("  ", ("opens   ", "green"), ": ".join(parts))


def _show_unverified(console: SafeConsole, found: Diagnosis) -> None:
    """List what this report, and the tests of the project, do not verify."""
    console.print(Text("not verified", style="bold"))
    lines = [each.unverified for each in found.openings if each.unverified]
    for line in dict.fromkeys(lines):
        console.print(f"  {line}")
    where = found.bundle.rpartition(" ")[0] or "BUNDLE"
    console.print(
        f"  decisions and scores on this device: anomedge verify {where}; times under load: anomedge bench {where}"
    )
