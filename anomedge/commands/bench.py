"""anomedge bench: measure a bundle on this machine, per runtime and batch size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from anomedge.benchmark import Timing, measure, ratios
from anomedge.bundle import Bundle, require_outside
from anomedge.commands._common_options import (
    Device,
    Precision,
    Runtimes,
    Threads,
    chosen_precision,
)
from anomedge.commands._console import wide_console
from anomedge.commands._quantisation import speed_note
from anomedge.commands._units import format_bytes
from anomedge.errors import InputError
from anomedge.files import atomic_file, canonical_json, check_target
from anomedge.verification import plan_of

EXAMPLE = "anomedge bench part.anomedge --runtime ort openvino --batch 1 8 --plot latency.svg"

Option = typer.Option


def bench(
    bundle: Annotated[Path, typer.Argument(help="Bundle to measure.")],
    runtime: Runtimes = None,
    batch: Annotated[
        list[int] | None,
        Option(min=1, help="Batch sizes; 1 and 8 when not given."),
    ] = None,
    rounds: Annotated[
        int, Option(min=1, help="Rounds of three counted calls per row.")
    ] = 20,
    device: Device = None,
    precision: Precision = None,
    threads: Threads = None,
    memory: Annotated[
        bool,
        Option(
            "--memory/--no-memory",
            help="Measure peak memory, in one process per row.",
        ),
    ] = True,
    plot: Annotated[
        Path | None, Option(help="Draw the table as an SVG file.")
    ] = None,
    force: Annotated[
        bool, Option("--force", help="Replace an existing plot.")
    ] = False,
    as_json: Annotated[
        bool, Option("--json", help="Print the figures as JSON.")
    ] = False,
) -> None:
    """Measure latency, throughput and memory; the rows take turns in one process, so that they can be compared."""
    if plot is not None:
        if plot.suffix.lower() != ".svg":
            raise InputError(
                f"got --plot {plot}; expected a name ending in .svg"
            )
        check_target(plot, force=force)
    opened = Bundle.open(bundle)
    require_outside(opened, plot)
    precision = chosen_precision(opened, precision)
    fixed = opened.manifest.input.batch
    asked = batch or ([1, 8] if fixed == "dynamic" else [])
    timings = measure(
        opened,
        plan_of(opened, runtime or (), asked, precision, device, threads),
        rounds,
        memory=memory,
    )
    if plot is not None:
        from anomedge.report.figures import latency

        with atomic_file(plot, force=force) as temporary:
            temporary.write_text(latency(timings), encoding="utf-8")
    if as_json:
        rows = [
            _fields(timing) | {"ratio": ratio}
            for timing, ratio in zip(timings, ratios(timings), strict=True)
        ]
        typer.echo(canonical_json(rows), nl=False)
        return
    console = wide_console()
    console.print(_table(timings))
    for line in speed_note(precision, [t.runtime for t in timings]):
        console.print(line, soft_wrap=True)
    if (resize := timings[0].resize) is not None:
        console.print(
            f"before each frame: {resize.milliseconds:.2f} ms to resize a picture of {resize.height}x{resize.width}, the "
            "largest golden one, outside the graph in one thread; the table excludes it",
            soft_wrap=True,
        )


def _fields(timing: Timing) -> dict[str, Any]:
    """Return the figures; the resize only where there is one."""
    fields = asdict(timing)
    if timing.resize is None:
        del fields["resize"]
    return fields


def _table(timings: Sequence[Timing]) -> Table:
    places = [
        f"{t.runtime} {t.version} on {t.running_on}, {t.precision}"
        for t in timings
    ]
    where = "; ".join(dict.fromkeys(places))
    table = Table(
        "runtime",
        "batch",
        "median ms",
        "p95 ms",
        "frames/s",
        "ms a frame\nover the first",
        "open ms",
        "peak memory",
        title=f"{where}; {timings[0].calls} calls a row, in turns",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    for timing, ratio in zip(timings, ratios(timings), strict=True):
        table.add_row(*_row(timing, ratio))
    return table


def _row(timing: Timing, ratio: float) -> list[str]:
    peak = "-"
    if timing.peak_bytes is not None:
        peak = format_bytes(timing.peak_bytes)
    return [
        timing.runtime,
        str(timing.batch),
        f"{timing.median:.2f}",
        f"{timing.p95:.2f}",
        f"{timing.throughput:.1f}",
        f"{ratio:.2f}",
        f"{timing.open_milliseconds:.0f}",
        peak,
    ]
