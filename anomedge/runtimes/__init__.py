"""Device side: run a bundle's graph under one vendor's runtime. No torch, and no vendor before one is opened.

Each runtime is one file beside this one that defines a `Session`; the folder is the registry.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from anomedge.bundle import Bundle
from anomedge.errors import InputError, RuntimeMissing
from anomedge.runtimes.base import (
    Built,
    Options,
    Session,
    Tensors,
    how_to_install,
    is_there,
)
from anomedge.runtimes.graph_file import GraphFile

__all__ = [
    "TF32",
    "Built",
    "GraphFile",
    "Options",
    "Session",
    "Tensors",
    "available",
    "get",
    "installed",
    "open",
    "usable",
    "variant_of",
]

TF32 = "tf32"
"""A precision with tolerances of its own, and no variant of the bundle: the float32 graph, on a GPU that multiplies with
ten bits behind the point."""


def available() -> dict[str, type[Session]]:
    """Every runtime anomedge has, by its full name."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return {
        kind.name: kind
        for kind in sorted(_below(Session), key=lambda kind: kind.name)
        if kind.vendor
    }


def _below(kind: Any) -> Iterator[type[Session]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


def installed() -> list[str]:
    """Names of the runtimes whose vendor is installed here."""
    return [name for name, kind in available().items() if is_there(kind.vendor)]


def usable() -> list[str]:
    """Names of the runtimes that can be expected to run here: what commands take when none is named.

    A vendor may be installed on a machine without the device that it needs.
    """
    return [name for name, kind in available().items() if kind.runs_here()]


def get(name: str) -> type[Session]:
    """The runtime of a full or short name, such as `onnxruntime` or `ort`.

    Raises:
        InputError: anomedge has none of that name.
        RuntimeMissing: it has, but the vendor is not installed here.
    """
    kinds = available()
    for kind in kinds.values():
        if name.lower() in {kind.name, kind.short}:
            if not is_there(kind.vendor):
                raise RuntimeMissing(
                    f"runtime {kind.name} is not installed here; expected the package {kind.vendor}: "
                    f"{how_to_install(kind.vendor, kind.extra)}"
                )
            return kind
    names = ", ".join(f"{kind.name} ({kind.short})" for kind in kinds.values())
    raise InputError(f"got runtime {name!r}; expected one of: {names}")


def variant_of(precision: str) -> str:
    """Which of a bundle's variants a precision runs.

    >>> variant_of("tf32"), variant_of("fp16-storage")
    ('fp32', 'fp16-storage')
    """
    return "fp32" if precision == TF32 else precision


def open(  # noqa: A001 - the verb of the whole package
    source: Bundle | Path | str,
    runtime: str | None = None,
    device: str = "cpu",
    **options: object,
) -> Session:
    """Open a bundle, or a bare `.onnx` or `.xml` file, under a runtime.

    Args:
        source: a bundle, its folder, or a graph's file.
        runtime: full or short name; the first that can run here when None.
        device: what to run on, in the vendor's words or ours; asserted after opening.
        **options: fields of `Options`, such as `precision` (which may be "tf32" too), `threads`, `stages`.

    Raises:
        InputError, RuntimeMissing, DeviceMismatch, BundleError, RuntimeFailure: see `anomedge.errors`.
    """
    names = [] if runtime else usable()
    if runtime is None and not names:
        raise RuntimeMissing(
            "no runtime is installed that runs here; expected one: pip install 'anomedge[ort]' or [openvino]"
        )
    kind = get(runtime or names[0])
    if options.get("precision") == TF32:
        options |= {"precision": variant_of(TF32), "tf32": True}
    settings = Options.checked(device=device, **options)
    if isinstance(source, Bundle):
        return kind.from_bundle(source, settings)
    path = Path(source)
    return (
        kind.from_file(path, settings)
        if path.is_file()
        else kind.from_bundle(Bundle.open(path), settings)
    )
