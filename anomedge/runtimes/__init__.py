"""Run a bundle's graph under one vendor's runtime; device side, without torch.

A runtime is a module beside this one that defines a `Session`, or an entry point
of the group `anomedge.runtimes` of an installed distribution. A vendor is
imported when a graph is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anomedge.bundle import Bundle
from anomedge.errors import (
    AnomedgeError,
    DeviceMismatch,
    InputError,
    RuntimeMissing,
)
from anomedge.extras import install_advice
from anomedge.registry import Registry
from anomedge.runtimes.base import BuildResult, Session
from anomedge.runtimes.choice import Choice, choose, explained
from anomedge.runtimes.graph_file import GraphFile
from anomedge.runtimes.nvidia.options import TF32
from anomedge.runtimes.options import Options
from anomedge.runtimes.specs import Tensors
from anomedge.runtimes.vendors import translated_errors

__all__ = [
    "TF32",
    "BuildResult",
    "Choice",
    "GraphFile",
    "Options",
    "Session",
    "Tensors",
    "available",
    "check_device",
    "choice_here",
    "get",
    "installed",
    "open",
    "options_for",
    "precision_modes",
    "registry",
    "spellings",
    "usable",
    "variant_of",
]


def _short_names(runtime: type[Any]) -> tuple[str, ...]:
    return (runtime.short,) if runtime.short else ()


registry: Registry[Session] = Registry(
    package=__name__,
    group="anomedge.runtimes",
    kind="runtime",
    base=Session,
    aliases=_short_names,
)


def available() -> dict[str, type[Session]]:
    """Return every runtime that anomedge or a plugin defines, by full name."""
    return registry.members()


def spellings() -> list[str]:
    """Return the full and short names of all runtimes."""
    short = [runtime.short for runtime in available().values() if runtime.short]
    return [*registry.names(), *short]


def installed() -> list[str]:
    """Return the names of the runtimes with an installed vendor package."""
    found = available().items()
    return [name for name, runtime in found if runtime.is_installed()]


def usable() -> list[str]:
    """Return the names of the runtimes that commands use by default.

    Their vendor is installed and this machine has a device that they run on.
    """
    found = available().items()
    return [name for name, runtime in found if runtime.runs_here()]


def get(name: str) -> type[Session]:
    """Return the runtime of a full or short name, in any case.

    Raises:
        InputError: no runtime has that name, or its plugin does not load.
        RuntimeMissing: the vendor is not installed here.
    """
    runtime = registry.get(name.lower())
    if not runtime.is_installed():
        raise RuntimeMissing(
            f"runtime {runtime.name} is not installed here; expected the "
            f"package {runtime.vendor}: {runtime.how_to_install()}"
        )
    return runtime


def precision_modes() -> dict[str, list[str]]:
    """Return the precisions that are modes of a runtime, and these runtimes.

    >>> precision_modes()["tf32"][:2]
    ['onnxruntime', 'tensorrt']
    """
    modes: dict[str, list[str]] = {}
    for name, runtime in available().items():
        for mode in runtime.Options.modes:
            modes.setdefault(mode, []).append(name)
    return modes


def variant_of(precision: str) -> str:
    """Return the bundle's variant that a precision runs.

    >>> variant_of("tf32"), variant_of("fp16-storage")
    ('fp32', 'fp16-storage')
    """
    return "fp32" if precision in precision_modes() else precision


def options_for(runtime: type[Session], **values: Any) -> Options:
    """Return the options of a runtime from keywords.

    A `precision` that is a mode of the runtime, such as "tf32", becomes the
    variant fp32 with that mode.

    Raises:
        InputError: an unknown option, an option or a mode of other runtimes, or a
            value out of range.
    """
    _refuse_foreign(runtime, values)
    precision = values.get("precision")
    modes = precision_modes()
    if precision in modes:
        if precision not in runtime.Options.modes:
            raise InputError(
                f"{runtime.name}: got precision {precision}, a mode of "
                f"{', '.join(modes[precision])}; use one of these, or fp32"
            )
        values = values | {"precision": "fp32", precision: True}
    return runtime.Options.checked(**values)


def _refuse_foreign(runtime: type[Session], values: dict[str, Any]) -> None:
    known = runtime.Options.model_fields.keys()
    for option in sorted(values.keys() - known):
        takers = [
            name
            for name, other in available().items()
            if option in other.Options.model_fields
        ]
        if takers:
            raise InputError(
                f"{runtime.name} takes no option {option}; expected a runtime "
                f"that takes it: {', '.join(takers)}"
            )


def check_device(names: Sequence[str], device: str | None) -> None:
    """Check that every named runtime has the device, before long work.

    Raises:
        DeviceMismatch: a runtime does not have it; the message names those that do.
        RuntimeFailure: a vendor is installed and does not load.
    """
    if device is None:
        return
    faults: dict[str, DeviceMismatch] = {}
    for name in names:
        runtime = get(name)
        try:
            with translated_errors(runtime.name, "find", f"device {device}"):
                runtime.check_device(device)
        except DeviceMismatch as error:
            faults[name] = error
    if not faults:
        return
    fault = next(iter(faults.values()))
    takers = [name for name in names if name not in faults]
    if not takers:
        raise fault
    raise DeviceMismatch(
        f"{fault}; {', '.join(takers)} has it: run one command per device, "
        f"with --runtime"
    ) from fault


def open(  # noqa: A001 - the verb of the whole package
    source: Bundle | Path | str,
    runtime: str | None = None,
    device: str | None = None,
    **options: object,
) -> Session:
    """Open a bundle, or a bare `.onnx` or `.xml` file, under a runtime.

    Args:
        source: a bundle, its folder, or the file of a graph.
        runtime: full or short name; when None the fastest that this machine has, with the reason in the session's `choice`.
        device: a device in the runtime's own words, asserted after opening; the
            runtime's default when None.
        **options: fields of the runtime's `Options`, such as `precision` (a
            variant, or a mode such as "tf32"), `threads`, `stages`.

    Raises:
        InputError, RuntimeMissing, DeviceMismatch, BundleError, RuntimeFailure: see `anomedge.errors`.
    """
    if runtime is None:
        precision = str(options.get("precision", "fp32"))
        choice = choice_here(precision, device, tuple(options))
        try:
            session = open(source, choice.runtime, choice.device, **options)
        except AnomedgeError as error:
            told = explained(error, choice)
            if told is error:
                raise
            raise told from error
        session.choice = choice
        return session
    opener = get(runtime)
    settings = options_for(opener, device=device, **options)
    if isinstance(source, Bundle):
        return opener.from_bundle(source, settings)
    path = Path(source)
    if path.is_file():
        return opener.from_file(path, settings)
    return opener.from_bundle(Bundle.open(path), settings)


def choice_here(
    precision: str = "fp32",
    device: str | None = None,
    options: Sequence[str] = (),
) -> Choice:
    """Return the fastest runtime of this machine; a plugin only if no runtime of anomedge can run here.

    Raises:
        RuntimeMissing: none can run here.
    """
    names = usable()
    if not names:
        extras = [
            runtime.extra
            for runtime in available().values()
            if runtime.extra and not runtime.builds_engines
        ]
        raise RuntimeMissing(
            f"no runtime is installed that runs here; expected one: {install_advice(extras[0])}; "
            f"other extras: {', '.join(extras[1:])}"
        )
    own = [name for name in names if registry.distribution(name) is None]
    known = available()
    found = [known[name] for name in own or names]
    return choose(found, precision, device, options)
