"""Open a graph under every runtime and device of the machine, each in a process of its own, and time a frame."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from anomedge import runtimes
from anomedge.doctor.processes import ask
from anomedge.doctor.unverified import unverified

__all__ = ["Opening", "classes", "open_everywhere"]

_SAME = 1.15
"""Ratio of times up to which two openings count as equally fast: few calls vary by more than a tenth."""


@dataclass(frozen=True)
class Opening:
    """One attempt.

    Attributes:
        runtime, device: as `--runtime` and `--device` name them; None for the default device.
        opens: whether the graph was opened and run.
        reason: why not; "" where it was.
        version, running_on: of the session.
        milliseconds: time of a frame, median of few calls; None where it did not run.
        open_milliseconds: time of opening, a built engine included.
        unverified: what is not verified of this combination; "" for nothing.
        missing: shared libraries that messages name as missing.
    """

    runtime: str
    device: str | None
    opens: bool = False
    reason: str = ""
    version: str = ""
    running_on: str = ""
    milliseconds: float | None = None
    open_milliseconds: float | None = None
    unverified: str = ""
    missing: tuple[str, ...] = ()


def open_everywhere(
    source: Path, precision: str, seconds: float, devices: Sequence[str] = ()
) -> list[Opening]:
    """Open a graph under every runtime.

    Args:
        source: a bundle or an ONNX graph.
        precision: of the bundle.
        seconds: time limit of each attempt.
        devices: further devices that OpenVINO has, such as GPU.
    """
    openings = []
    for name, runtime in runtimes.available().items():
        reason = _reason_against(runtime)
        if reason:
            openings.append(Opening(name, None, reason=reason))
            continue
        for device in _devices_of(runtime, precision, devices):
            openings.append(_open(source, name, device, precision, seconds))
    return openings


def _reason_against(runtime: type[runtimes.Session]) -> str:
    if not runtime.is_installed():
        return f"not installed: {runtime.how_to_install()}"
    if not runtime.runs_here():
        return runtime.why_not_here()
    return ""


def _devices_of(
    runtime: type[runtimes.Session], precision: str, found: Sequence[str]
) -> list[str | None]:
    """Return the default device, and the others that are here."""
    preferred = runtime.preference(precision).device
    more = [name.lower() for name in found if name.lower() in runtime.devices]
    named = [preferred, *more]
    return [None, *(device for device in named if device is not None)]


def _open(
    source: Path,
    runtime: str,
    device: str | None,
    precision: str,
    seconds: float,
) -> Opening:
    request = {
        "source": str(source),
        "runtime": runtime,
        "device": device,
        "precision": precision,
    }
    answer = ask(["open", json.dumps(request)], seconds)
    found = answer.lines[-1]["doctor"] if answer.lines else {}
    reason = found.get("error", "") or ("" if found else answer.end)
    if reason or not found:
        reason = reason or "its process gave no answer"
        return Opening(runtime, device, reason=reason, missing=answer.missing)
    return Opening(
        runtime,
        device,
        opens=True,
        unverified=unverified(runtime, found["running_on"]),
        **found,
    )


def classes(openings: Sequence[Opening]) -> list[str]:
    """Return a relative class of speed for each opening: the fastest, as fast, or the times it takes longer.

    >>> classes([Opening("a", None, milliseconds=10.0), Opening("b", None, milliseconds=25.0)])
    ['fastest', '2.5 times as long']
    """
    measured = [o.milliseconds for o in openings if o.milliseconds is not None]
    if not measured:
        return ["" for _ in openings]
    least = min(measured)
    return [_class(opening.milliseconds, least) for opening in openings]


def _class(milliseconds: float | None, least: float) -> str:
    if milliseconds is None:
        return ""
    if milliseconds == least:
        return "fastest"
    ratio = milliseconds / least
    return "about as fast" if ratio <= _SAME else f"{ratio:.1f} times as long"
