"""anomedge build: build an engine ahead of time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from anomedge import runtimes
from anomedge.bundle import Bundle
from anomedge.commands._common_options import (
    Device,
    Precision,
    chosen_options,
    chosen_precision,
    engine_builders,
    with_engine_options,
)
from anomedge.commands._console import SafeConsole, wide_console
from anomedge.commands._units import format_bytes
from anomedge.errors import InputError, RuntimeMissing
from anomedge.files import canonical_json
from anomedge.names import storable
from anomedge.runtimes import BuildResult, GraphFile, Options, Session
from anomedge.runtimes.options import DEFAULT_BATCHES

EXAMPLE = "anomedge build part.anomedge --runtime rtx --batch 1 8"

Option = typer.Option


@with_engine_options
def build(
    bundle: Annotated[
        Path, typer.Argument(help="Bundle, or a bare .onnx file.")
    ],
    runtime: Annotated[
        str | None,
        Option(
            help=f"{' or '.join(engine_builders())}; the installed one when not given."
        ),
    ] = None,
    batch: Annotated[
        list[int] | None,
        Option(
            min=1,
            help="Smallest, typical and largest batch; two are smallest and largest. 1 1 8 when not given.",
        ),
    ] = None,
    precision: Precision = None,
    device: Device = None,
    force: Annotated[
        bool, Option("--force", help="Build even if the engine exists.")
    ] = False,
    as_json: Annotated[
        bool, Option("--json", help="Print the engine's record as JSON.")
    ] = False,
    **options: Any,
) -> None:
    """Build an engine ahead of time, for the commands that run it; rtx builds without a GPU, trt on the device."""
    builder = _engine_builder(runtime)
    settings = runtimes.options_for(
        builder,
        device=device,
        precision=_precision(bundle, precision),
        batches=_batches(batch or ()),
        **chosen_options(options),
    )
    graph = _graph(bundle, builder, settings)
    built = builder.build(graph, settings, force=force)
    if as_json:
        typer.echo(canonical_json(_content(builder, built)), nl=False)
        return
    console = wide_console()
    for line in _lines(built):
        console.print(line, soft_wrap=True)


def _batches(given: Sequence[int]) -> tuple[int, int, int]:
    """Return smallest, typical and largest batch from one, two or three numbers.

    >>> _batches([4]), _batches([1, 8]), _batches([1, 2, 8]), _batches([])
    ((4, 4, 4), (1, 1, 8), (1, 2, 8), (1, 1, 8))
    """
    if not given:
        return DEFAULT_BATCHES
    if len(given) > 3:
        raise InputError(
            f"got --batch {' '.join(map(str, given))}; expected smallest, "
            f"typical and largest: three numbers at most"
        )
    typical = given[1] if len(given) == 3 else given[0]
    return given[0], typical, given[-1]


def _engine_builder(name: str | None) -> type[Session]:
    """Return the named runtime; without a name the first installed one that builds engines, preferably for a GPU of this machine."""
    if name is not None:
        return runtimes.get(name)
    builders = engine_builders()
    found = [each for each in builders.values() if each.is_installed()]
    for builder in sorted(found, key=lambda each: not each.runs_here()):
        line = f"runtime: {builder.name}, the first installed one that builds engines"
        SafeConsole(stderr=True).print(line)
        return builder
    hints = [builder.how_to_install() for builder in builders.values()]
    raise RuntimeMissing(
        "no runtime that builds engines is installed here; "
        f"expected one: {' or '.join(hints)}"
    )


def _precision(path: Path, precision: str | None) -> str:
    """Return the precision to build; a graph's file has no other than that of its types."""
    if path.is_dir():
        return chosen_precision(Bundle.open(path), precision)
    return precision or "fp32"


def _graph(path: Path, builder: type[Session], options: Options) -> GraphFile:
    if path.is_file():
        if path.suffix == ".xml":
            raise InputError(
                f"got the IR {path}; expected an .onnx file, "
                f"or the bundle that holds the IR"
            )
        return GraphFile(path)
    opened = Bundle.open(path)
    variant = opened.variant(options.precision)
    return GraphFile.in_bundle(opened, builder.file_of(variant, options))


def _content(builder: type[Session], built: BuildResult) -> dict[str, object]:
    return {
        "runtime": builder.name,
        "engine": storable(str(built.path)),
        "built": built.fresh,
        **built.record,
    }


def _lines(built: BuildResult) -> list[str]:
    """Format the engine, its size and the facts that it depends on."""
    facts = built.record["fingerprint"]
    smallest, typical, largest = facts["batches"]
    device = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in facts["device"].items()
    ]
    graph = [
        f"{name} ({digest[:12]})" for name, digest in facts["graph"].items()
    ]
    took = "it was there already; --force builds it again"
    if built.fresh:
        took = f"built in {built.record['seconds']:.1f} s"
    return [
        f"engine    {built.path}",
        f"          {format_bytes(built.bytes)}, {took}",
        f"release   {facts['version']}",
        f"for       {', '.join(device)}",
        f"graph     {', '.join(graph)}",
        f"batches   {smallest} to {largest}, tuned for {typical}",
    ]
