"""anomedge report: write the proof of a bundle as one HTML page."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from anomedge.bundle import Bundle
from anomedge.commands._common_options import (
    Batches,
    Device,
    Images,
    Local,
    NormalLabel,
    Precision,
    Runtimes,
    Threads,
    chosen_precision,
)
from anomedge.commands._console import SafeConsole
from anomedge.commands._station_report import StationPage, required_bundle
from anomedge.errors import ProofFailed
from anomedge.files import canonical_json
from anomedge.names import storable
from anomedge.parity.certificate import Certificate, failure_text
from anomedge.verification import plan_of

EXAMPLE = "anomedge report part.anomedge --model model.safetensors --images test/ -o report.html"

Option = typer.Option


def report(
    bundle: Annotated[
        Path | None, typer.Argument(help="Bundle to report on.")
    ] = None,
    station: Annotated[
        Path | None,
        Option(
            metavar="LOG",
            help="Report on a station instead: the file of JSON lines that anomedge watch wrote.",
        ),
    ] = None,
    overlays: Annotated[
        Path | None,
        Option(
            help="With --station: the folder of watch --save, to show the overlays of the worst pictures."
        ),
    ] = None,
    output: Annotated[
        Path, Option("--output", "-o", help="HTML file to write.")
    ] = Path("report.html"),
    model: Annotated[
        Path | None,
        Option(help="Compare with eager Torch on this model, on the host."),
    ] = None,
    images: Images = None,
    normal: NormalLabel = None,
    runtime: Runtimes = None,
    batch: Batches = None,
    precision: Precision = None,
    device: Device = None,
    threads: Threads = None,
    pictures: Annotated[
        int, Option(min=0, max=24, help="Number of pictures to show.")
    ] = 6,
    rounds: Annotated[
        int, Option(min=1, help="Rounds of the latency measurement.")
    ] = 10,
    no_bench: Annotated[
        bool, Option("--no-bench", help="Skip the latency measurement.")
    ] = False,
    force: Annotated[
        bool, Option("--force", help="Replace an existing file.")
    ] = False,
    local: Local = None,
    as_json: Annotated[
        bool, Option("--json", help="Print path, outcome and size as JSON.")
    ] = False,
) -> None:
    """Prove a bundle again and write one HTML page: verdict, threshold, scores, pictures, latency.

    With --station: write one page on the frames, alarms, drift, connection and worst pictures of a station; nothing is
    inspected, and of the other options -o, --pictures, --force and --json apply.
    """
    if station is not None:
        page = StationPage(station, overlays, pictures)
        page.write(bundle, output, force=force, as_json=as_json)
        return
    bundle = required_bundle(bundle, overlays)
    from anomedge.report import Request, write_report

    opened = Bundle.open(bundle, local)
    precision = chosen_precision(opened, precision)
    plan = plan_of(
        opened, runtime or (), batch or (), precision, device, threads
    )
    options: dict[str, Any] = {
        "-o": output,
        "--model": model,
        "--images": images,
        "--normal": normal,
        "--runtime": runtime,
        "--batch": batch,
        "--precision": precision,
        "--device": device,
        "--threads": threads,
        "--local": local,
        "--pictures": pictures,
    } | ({"--no-bench": True} if no_bench else {"--rounds": rounds})
    request = Request(
        model,
        images or (),
        pictures,
        0 if no_bench else rounds,
        _command(bundle, options),
        normal=normal,
    )
    certificate = write_report(opened, output, plan, request, force=force)
    _print(output, certificate, as_json)
    if not certificate.passed:
        raise ProofFailed(failure_text(certificate, f"as {output} says"))


def _print(output: Path, certificate: Certificate, as_json: bool) -> None:
    if as_json:
        summary = {
            "report": storable(str(output)),
            "passed": certificate.passed,
            "bytes": output.stat().st_size,
        }
        typer.echo(canonical_json(summary), nl=False)
    else:
        size = output.stat().st_size / 1e6
        SafeConsole().print(f"{output}: {size:.1f} MB")


def _command(bundle: Path, options: dict[str, Any]) -> str:
    """Return the command line that writes the same report."""
    words = ["anomedge", "report", str(bundle)]
    for name, value in options.items():
        if value is True:
            words.append(name)
        elif value is not None:
            is_list = isinstance(value, Sequence) and not isinstance(value, str)
            for item in value if is_list else [value]:
                words += [name, str(item)]
    return storable(shlex.join(words))
