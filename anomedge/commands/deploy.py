"""anomedge deploy: write the configuration of another program that runs a bundle's graph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anomedge.bundle import Bundle, require_outside
from anomedge.commands._common_options import Precision, chosen_precision
from anomedge.commands._console import SafeConsole
from anomedge.files import atomic_directory, canonical_json
from anomedge.layouts import LAYOUTS
from anomedge.names import storable
from anomedge.serving import SERVERS, served_graph

EXAMPLE = "anomedge deploy part.anomedge --for triton -o models"

Option = typer.Option


def _help_on_servers() -> str:
    members = SERVERS.members().items()
    return "; ".join(f"{name}: {each.summary}" for name, each in members) + "."


def deploy(
    bundle: Annotated[Path, typer.Argument(help="Bundle.")],
    server: Annotated[str, Option("--for", help=_help_on_servers())],
    output: Annotated[
        Path, Option("--output", "-o", help="Folder to write; a new name.")
    ],
    layout: Annotated[
        str | None,
        Option(
            help=f"Layout of the graph, of those that the bundle has: {', '.join(LAYOUTS.names())}. The first that the program takes when not given."
        ),
    ] = None,
    precision: Precision = None,
    batch: Annotated[
        int,
        Option(
            min=1,
            max=4096,
            help="Largest batch, for graphs with an open batch.",
        ),
    ] = 8,
    as_json: Annotated[
        bool, Option("--json", help="Print the files as JSON.")
    ] = False,
) -> None:
    """Write the configuration of DeepStream, Triton or trtexec for a graph of the bundle, and copy the graph beside it.

    The files are not covered by a proof: the program computes with its own runtime and device.
    """
    opened, member = Bundle.open(bundle), SERVERS.get(server)
    require_outside(opened, output)
    chosen = chosen_precision(opened, precision)
    graph = served_graph(opened, layout, member.layouts, chosen, batch)
    with atomic_directory(output) as root:
        member.write(graph, root)
        files = [p.relative_to(root) for p in root.rglob("*") if p.is_file()]
    names = sorted(path.as_posix() for path in files)
    if as_json:
        content = {"layout": graph.layout.name, "precision": chosen}
        content |= {"output": storable(str(output))}
        typer.echo(canonical_json(content | {"files": names}), nl=False)
        return
    console = SafeConsole()
    console.print(f"{output}: layout {graph.layout.name}, {chosen}")
    for name in names:
        console.print(f"  {name}", soft_wrap=True)
