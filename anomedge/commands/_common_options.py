"""Options that several commands take; those of runtimes are derived from the runtimes' classes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

from annotated_types import Ge
from pydantic.fields import FieldInfo
from typer import Option

from anomedge import runtimes
from anomedge.bundle import Bundle
from anomedge.errors import InputError

__all__ = [
    "Batches",
    "ComparedRuntimes",
    "Device",
    "Images",
    "Local",
    "NormalLabel",
    "Precision",
    "Runtime",
    "Runtimes",
    "Threads",
    "Widen",
    "chosen_options",
    "chosen_precision",
    "engine_builders",
    "with_engine_options",
]

_MIB = 1 << 20
_PLAIN_TYPES = (bool, int, float, str, Path)
_COMMON = {"device", "precision", "batches"}
"""Options of runtimes that every command declares itself."""


def _runtime_names() -> str:
    found = runtimes.available()
    named = [
        f"{name} ({runtime.short})" if runtime.short else name
        for name, runtime in found.items()
    ]
    return ", ".join(named)


def _device_help() -> str:
    takers: dict[str, list[str]] = {}
    for name, runtime in runtimes.available().items():
        takers.setdefault(", ".join(runtime.devices), []).append(name)
    shown = [
        f"{devices} ({', '.join(names)})" for devices, names in takers.items()
    ]
    return f"{'; '.join(shown)}. The runtime's default when not given."


def _precision_help() -> str:
    shown = [
        f"{mode}: fp32's graph in that mode of {', '.join(names)}"
        for mode, names in runtimes.precision_modes().items()
    ]
    return f"Variant of the bundle; fp32, or the only one, when not given; or {'; '.join(shown)}."


Batches = Annotated[
    list[int] | None,
    Option(min=1, help="Batch sizes; 1, 2, 3 and 8 when not given."),
]
Device = Annotated[str | None, Option(help=_device_help())]
Images = Annotated[
    list[Path] | None,
    Option(
        help="Folders or lists of pictures to prove on. Without --model, runtimes are compared with one another."
    ),
]
Local = Annotated[
    Path | None,
    Option(
        metavar="DIR",
        help="Folder for local.json, the thresholds of this device, of any number of bundles. Default: the bundle, or, if it "
        "cannot be written, anomedge/local in the user's state folder.",
    ),
]
NormalLabel = Annotated[
    str | None,
    Option(
        "--normal",
        "--normal-label",
        help="Label of the normal pictures, as their folder or the list names it; known ones, such as good and ok, when not given.",
    ),
]
Widen = Annotated[
    float,
    Option(
        min=1,
        max=100,
        help="Factor on this release's tolerances; recorded in the certificate.",
    ),
]
Precision = Annotated[str | None, Option(help=_precision_help())]
Runtime = Annotated[
    str | None,
    Option(
        help=f"{_runtime_names()}; the fastest that this machine has when not given, named on stderr."
    ),
]
Runtimes = Annotated[
    list[str] | None,
    Option(
        help=f"One or more of {_runtime_names()}; "
        f"all that can run here when not given."
    ),
]
ComparedRuntimes = Annotated[
    list[str] | None,
    Option(
        help=f"One or more of {_runtime_names()}; "
        f"the fastest that this machine has when not given."
    ),
]
Threads = Annotated[
    int | None,
    Option(
        min=1, help=runtimes.Options.model_fields["threads"].description or ""
    ),
]


def engine_builders() -> dict[str, type[runtimes.Session]]:
    """Return the runtimes that build engines ahead of time, by name."""
    return {
        name: runtime
        for name, runtime in runtimes.available().items()
        if runtime.builds_engines
    }


def _engine_fields() -> dict[str, FieldInfo]:
    """Return the options that affect the build of an engine, of all runtimes."""
    fields: dict[str, FieldInfo] = {}
    for runtime in engine_builders().values():
        for name, field in runtime.Options.model_fields.items():
            if name not in _COMMON and not _extra(field, "only_runs"):
                fields.setdefault(name, field)
    return fields


def with_engine_options(command: Callable[..., None]) -> Callable[..., None]:
    """Replace `**options` of a command by one option per field of the runtimes' classes."""
    hints = get_type_hints(command, include_extras=True)
    parameters = [
        parameter.replace(annotation=hints[parameter.name])
        for parameter in inspect.signature(command).parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
    parameters += [
        _parameter(name, field) for name, field in _engine_fields().items()
    ]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        command(**given)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    """Return the command-line parameter of a field."""
    flag = f"--{name.replace('_', '-')}"
    text, smallest = field.description or "", _smallest(field)
    if _extra(field, "bytes"):
        text, smallest = text.replace("in bytes", "in MiB"), 1
    kind = _plain_type(field)
    option = (
        Option(flag, help=text)
        if kind is bool
        else Option(flag, help=text, min=smallest)
    )
    annotation: Any = Annotated[kind if kind is bool else kind | None, option]
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=False if kind is bool else None,
        annotation=annotation,
    )


def chosen_precision(bundle: Bundle, precision: str | None) -> str:
    """Return the precision to run: the given one, else fp32, else the bundle's only one.

    Raises:
        InputError: none was given, and the bundle has several without fp32.
    """
    found = list(bundle.manifest.variants)
    if precision is not None or "fp32" in found:
        return precision or "fp32"
    if len(found) == 1:
        return found[0]
    raise InputError(
        f"{bundle.path} has the precisions {', '.join(found)}; expected a choice: give one with --precision"
    )


def chosen_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that the user gave, in the units of the runtimes."""
    fields = _engine_fields()
    return {
        name: value * _MIB if _extra(fields[name], "bytes") else value
        for name, value in given.items()
        if value is not None and value is not False
    }


def _plain_type(field: FieldInfo) -> Any:
    kinds = get_args(field.annotation) or (field.annotation,)
    plain = [kind for kind in kinds if kind in _PLAIN_TYPES]
    return plain[0] if plain else str


def _smallest(field: FieldInfo) -> Any:
    bounds = [bound.ge for bound in field.metadata if isinstance(bound, Ge)]
    return bounds[0] if bounds else None


def _extra(field: FieldInfo, key: str) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get(key))
