"""The `anomedge` command."""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer

from anomedge import __version__, commands
from anomedge.commands._exit_codes import run_to_exit_code

__all__ = ["application", "main", "run_command"]


def application(only: str | None = None) -> typer.Typer:
    """Return the command line of all verbs, or of the verb `only`."""
    app = typer.Typer(
        name="anomedge",
        help="Export visual anomaly detectors to one static graph, and prove that every copy decides alike. "
        "Exit codes: 0 done, 2 wrong use or bad input, 3 proof failed, 4 to 7 of watch. --debug shows tracebacks.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for module in _modules():
        if not module.startswith("_") and only in (None, module):
            verb = importlib.import_module(f"{commands.__name__}.{module}")
            if hasattr(verb, "register"):
                verb.register(app)
                continue
            name = getattr(verb, "NAME", module)
            app.command(name=name, epilog=f"Example: {verb.EXAMPLE}")(
                getattr(verb, module)
            )
    if only is None:
        app.callback()(_options)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False,
        "--version",
        help="Print the version.",
        callback=_print_version,
        is_eager=True,
    ),
) -> None:
    del version  # its callback prints and exits


def run_command(name: str, arguments: Sequence[str]) -> int:
    """Run one verb and return its exit code."""
    return run_to_exit_code(
        lambda given: application(name)(
            given, prog_name=f"python -m anomedge.{name}"
        ),
        arguments,
    )


def main() -> None:
    """Run the command line and exit with its exit code."""
    code = run_to_exit_code(
        lambda given: _program(given)(given, prog_name="anomedge"), sys.argv[1:]
    )
    if threading.active_count() > 1 and _camera_is_read():
        # The thread is inside a camera driver; a normal exit would free objects that it uses, and may abort.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _program(arguments: Sequence[str]) -> typer.Typer:
    """Return the command line for some arguments; only the verb that they start with is imported, if it is one."""
    named = arguments[0] if arguments else ""
    if named.startswith("_") or named not in _modules():
        return application()
    with _without_collections():
        app = application(named)
    app.callback()(_options)
    return app


@contextmanager
def _without_collections() -> Iterator[None]:
    """Suspend the garbage collector; then exclude all objects so far, mostly modules and classes, from later collections."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


def _modules() -> list[str]:
    return [found.name for found in pkgutil.iter_modules(commands.__path__)]


def _camera_is_read() -> bool:
    """Return whether a thread of `watch` is still inside a camera driver."""
    from anomedge.station import READER_THREAD

    return any(thread.name == READER_THREAD for thread in threading.enumerate())


if __name__ == "__main__":
    main()
