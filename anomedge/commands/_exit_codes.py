"""Run a command line and convert errors to one line on standard error and an exit code."""

from __future__ import annotations

import re
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

from rich.text import Text

from anomedge.commands._arguments import spread_values
from anomedge.commands._console import (
    SafeConsole,
    checked_stdout,
    stdout_failure,
)
from anomedge.commands._signals import stop_signals_handled
from anomedge.errors import AnomedgeError, InputError, RuntimeMissing
from anomedge.extras import install_advice
from anomedge.names import printable_message

__all__ = ["StopSignal", "run_to_exit_code"]

_WRONG_USE = 2
_DEFAULT_EXTRA = "export"


class StopSignal(BaseException):
    """A signal that stops the program; raised in the main thread, so that temporary files are removed.

    Attributes:
        name: name of the signal.
        exit_code: 128 + the signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.name = signal.Signals(number).name
        self.exit_code = 128 + number


def run_to_exit_code(
    command: Callable[[list[str]], Any], arguments: Sequence[str]
) -> int:
    """Run a command line and return its exit code; print errors in one line, with a traceback only for `--debug`."""
    debug = "--debug" in arguments
    given = [text for text in arguments if text != "--debug"]
    with (
        warnings.catch_warnings(),
        checked_stdout(),
        stop_signals_handled(_raise_stop_signal),
    ):
        warnings.showwarning = _print_warning  # type: ignore[assignment]
        try:
            # Within the block: it may import a package that is missing here.
            command(spread_values(given))
            # The reader may have closed the pipe, as `head` does.
            with suppress(BrokenPipeError):
                sys.stdout.flush()
        except SystemExit as stop:  # the parser ends so: help, wrong use
            return _code_of(stop)
        except (Exception, StopSignal, KeyboardInterrupt) as error:  # noqa: BLE001 - every error becomes one line
            translated, code = _translate(error)
            if debug:
                traceback.print_exc()
            _print_error(translated)
            return code
    return 0


def _code_of(stop: SystemExit) -> int:
    if isinstance(stop.code, int):
        return stop.code
    return int(bool(stop.code))


def _translate(error: BaseException) -> tuple[AnomedgeError, int]:
    """Convert an error to one of anomedge's, with a message of one line, and an exit code."""
    if isinstance(error, AnomedgeError):
        return error, error.exit_code
    if isinstance(error, ModuleNotFoundError):
        return _missing_module(str(error.name)), _WRONG_USE
    if isinstance(error, StopSignal):
        return _stopped_by(error.name, error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return _stopped_by("SIGINT", error), 128 + signal.SIGINT
    refused = stdout_failure()
    if isinstance(error, OSError) and refused is not None:
        return refused, _WRONG_USE
    reason = (str(error).splitlines() or [""])[0]
    message = f"{type(error).__name__}: {reason}; --debug shows where"
    return InputError(message), _WRONG_USE


def _stopped_by(name: str, stop: BaseException) -> InputError:
    """Return the message of a stop; long work may have noted how to continue it."""
    notes = getattr(stop, "__notes__", None)
    outcome = "; ".join(notes or ["nothing was left half written"])
    return InputError(f"stopped by {name}; {outcome}")


def _missing_module(name: str) -> RuntimeMissing:
    extra = _extra_of(name.split(".")[0])
    return RuntimeMissing(
        f"{name} is not installed here; expected it: {install_advice(extra)}"
    )


def _extra_of(module: str) -> str:
    """Return the extra of anomedge that installs a module, by the requirements in anomedge's metadata."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        requirements = requires("anomedge") or []
    except PackageNotFoundError:
        return _DEFAULT_EXTRA
    for requirement in requirements:
        name = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"extra == [\"']([\w-]+)", requirement)
        if name and extra and name[0].replace("-", "_") == module:
            return extra[1]
    return _DEFAULT_EXTRA


def _raise_stop_signal(number: int, _: FrameType | None) -> None:
    raise StopSignal(number)


def _print_error(error: AnomedgeError) -> None:
    text = Text.assemble(("error:", "red"), f" {error}")
    SafeConsole(stderr=True).print(text)


def _print_warning(message: Warning | str, *_: Any) -> None:
    shown = printable_message(str(message))
    text = Text.assemble(("warning:", "yellow"), f" {shown}")
    SafeConsole(stderr=True).print(text)
