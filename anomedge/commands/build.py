"""anomedge build: the engine that TensorRT runs instead of the graph, made before it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from anomedge import runtimes
from anomedge.bundle import Bundle
from anomedge.commands._common_options import Device, Precision
from anomedge.commands._console import wide_console
from anomedge.commands._units import format_bytes
from anomedge.errors import InputError, RuntimeMissing
from anomedge.files import canonical_json
from anomedge.names import storable
from anomedge.runtimes import Built, GraphFile, Options, Session

EXAMPLE = "anomedge build part.anomedge --runtime rtx --batch 1 8"

Option = typer.Option


def build(
    bundle: Annotated[
        Path, typer.Argument(help="Bundle, or a bare .onnx file.")
    ],
    runtime: Annotated[
        str | None,
        Option(
            help="tensorrt or tensorrt-rtx; the installed one when not given."
        ),
    ] = None,
    batch: Annotated[
        list[int] | None,
        Option(
            min=1,
            help="Least, usual and largest batch; two are least and largest. 1 1 8 when not given.",
        ),
    ] = None,
    precision: Precision = "fp32",
    device: Device = "gpu",
    stages: Annotated[
        bool, Option("--stages", help="The graph with taps instead.")
    ] = False,
    tf32: Annotated[
        bool, Option("--tf32", help="Allow TF32, a precision of its own.")
    ] = False,
    workspace: Annotated[
        int | None,
        Option(min=1, help="MiB of the GPU's memory that the builder may use."),
    ] = None,
    version_compatible: Annotated[
        bool,
        Option(
            "--version-compatible",
            help="An engine that later releases read too; slower.",
        ),
    ] = False,
    hardware_compatible: Annotated[
        bool,
        Option(
            "--hardware-compatible",
            help="An engine for all GPUs from Ampere on; slower. rtx always builds such.",
        ),
    ] = False,
    dla: Annotated[
        int | None,
        Option(
            min=0, help="Build for this deep learning accelerator of a Jetson."
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        Option(help="Folder to keep it in; BUNDLE.engines when not given."),
    ] = None,
    force: Annotated[
        bool, Option("--force", help="Build again what is there already.")
    ] = False,
    as_json: Annotated[
        bool, Option("--json", help="Print what was made as JSON.")
    ] = False,
) -> None:
    """Build a TensorRT engine and keep it for the commands that run it; rtx builds without a GPU, trt on the device."""
    options = Options.checked(
        device=device,
        precision=precision,
        stages=stages,
        tf32=tf32,
        cache=cache,
        batches=_batches(batch or ()),
        workspace=None if workspace is None else workspace << 20,
        version_compatible=version_compatible,
        hardware_compatible=hardware_compatible,
        dla=dla,
    )
    kind = _kind(runtime)
    built = kind.build(_graph(bundle, kind, options), options, force=force)
    if as_json:
        typer.echo(canonical_json(_content(kind, built)), nl=False)
        return
    wide_console().print("\n".join(_lines(built)), soft_wrap=True)


def _batches(asked: Sequence[int]) -> tuple[int, int, int]:
    """Least, usual and largest of one, two or three numbers.

    >>> _batches([4]), _batches([1, 8]), _batches([1, 2, 8]), _batches([])
    ((4, 4, 4), (1, 1, 8), (1, 2, 8), (1, 1, 8))
    """
    if not asked:
        return Options.batches
    if len(asked) > 3:
        raise InputError(
            f"got --batch {' '.join(map(str, asked))}; expected least, usual and largest: three numbers at most"
        )
    return asked[0], asked[len(asked) // 2 if len(asked) == 3 else 0], asked[-1]


def _kind(name: str | None) -> type[Session]:
    """The runtime that was asked for, or the installed one that builds engines."""
    if name is not None:
        return runtimes.get(name)
    found = [
        name for name in runtimes.installed() if name.startswith("tensorrt")
    ]
    if not found:
        raise RuntimeMissing(
            "no runtime that builds engines is installed here; expected one: pip install 'anomedge[tensorrt]' or [rtx]"
        )
    return runtimes.get(found[0])


def _graph(path: Path, kind: type[Session], options: Options) -> GraphFile:
    if path.is_file():
        if path.suffix == ".xml":
            raise InputError(
                f"got the IR {path}; expected an .onnx file, or the bundle that holds the IR"
            )
        return GraphFile(path)
    opened = Bundle.open(path)
    return GraphFile.in_bundle(
        opened, kind.file_of(opened.variant(options.precision), options)
    )


def _content(kind: type[Session], built: Built) -> dict[str, object]:
    return {
        "runtime": kind.name,
        "engine": storable(str(built.path)),
        "built": built.fresh,
        **built.record,
    }


def _lines(built: Built) -> list[str]:
    """For people: what was made, for what, and where it is."""
    print_ = built.record["fingerprint"]
    least, usual, largest = print_["batches"]
    device = ", ".join(
        f"{name.replace('_', ' ')} {value}"
        for name, value in print_["device"].items()
    )
    graph = ", ".join(
        f"{name} ({digest[:12]})" for name, digest in print_["graph"].items()
    )
    took = (
        f"built in {built.record['seconds']:.1f} s"
        if built.fresh
        else "it was there already; --force builds it again"
    )
    return [
        f"engine    {built.path}",
        f"          {format_bytes(built.bytes)}, {took}",
        f"release   {print_['version']}",
        f"for       {device}",
        f"graph     {graph}",
        f"batches   {least} to {largest}, tuned for {usual}",
    ]
