"""Examine a device, and a bundle on it."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from anomedge import runtimes
from anomedge.bundle import Bundle
from anomedge.doctor import PROBES, Finding
from anomedge.doctor.opening import Opening, classes, open_everywhere
from anomedge.doctor.processes import ask
from anomedge.doctor.tiny import TINY_GRAPH
from anomedge.errors import RuntimeMissing

__all__ = ["Diagnosis", "examine"]

_INTEL_DEVICES = {"device GPU", "device GPU.0", "device NPU"}


@dataclass(frozen=True)
class Diagnosis:
    """The state of a device.

    Attributes:
        bundle: path and digest of the bundle; "" without one.
        precision: the precision that was opened.
        findings: of each probe, by its title.
        openings: of the bundle, or of a graph of one layer, by runtime and device.
        missing: names of missing shared libraries.
        choice: the runtime that commands without `--runtime` take; None if none can run here.
        no_choice: why there is none.
    """

    bundle: str
    precision: str
    findings: dict[str, list[Finding]]
    openings: list[Opening]
    missing: list[str]
    choice: runtimes.Choice | None
    no_choice: str = ""

    @property
    def works(self) -> bool:
        """Whether at least one runtime opened the graph."""
        return any(opening.opens for opening in self.openings)

    @property
    def faster(self) -> str:
        """The runtime that was measured to be faster than the one that commands choose; "" if none was."""
        times = [o for o in self.openings if o.milliseconds is not None]
        if not self.bundle or not times:
            return ""
        best = min(times, key=lambda each: each.milliseconds or 0.0)
        chosen = self.choice.runtime if self.choice else ""
        return "" if best.runtime == chosen else best.runtime

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        speeds = classes(self.openings) if self.bundle else []
        content = asdict(self) | {
            "works": self.works,
            "faster": self.faster,
            "choice": self.choice.line if self.choice else self.no_choice,
        }
        del content["no_choice"]
        for row, speed in zip(content["openings"], speeds, strict=False):
            row["speed"] = speed
        return content


def examine(
    bundle: Bundle | None, precision: str = "fp32", seconds: float = 60
) -> Diagnosis:
    """Examine this device.

    Args:
        bundle: opened under every runtime; None for the device alone.
        precision: of the bundle.
        seconds: time limit of each probe and each opening.
    """
    findings: dict[str, list[Finding]] = {}
    missing: set[str] = set()
    for probe in sorted(PROBES.members().values(), key=lambda each: each.order):
        answer = ask(["probe", probe.name], seconds)
        found = [Finding(**line["doctor"]) for line in answer.lines]
        if answer.end:
            found.append(Finding("probe", answer.end, "broken"))
        findings[probe.title] = found
        # What is not installed misses nothing.
        if any(finding.state == "broken" for finding in found):
            missing |= {*answer.missing}
    openings = _openings(bundle, precision, seconds, findings)
    for opening in openings:
        missing |= {*opening.missing}
    return Diagnosis(
        f"{bundle.path} {bundle.manifest.digest[:16]}" if bundle else "",
        precision,
        findings,
        openings,
        sorted(missing),
        *_choice(precision),
    )


def _openings(
    bundle: Bundle | None,
    precision: str,
    seconds: float,
    findings: dict[str, list[Finding]],
) -> list[Opening]:
    """Open the bundle, or the smallest graph, everywhere."""
    found = [each.title for group in findings.values() for each in group]
    devices = [
        title.removeprefix("device ").split(".")[0]
        for title in found
        if title in _INTEL_DEVICES
    ]
    if bundle is not None:
        return open_everywhere(bundle.path, precision, seconds, devices)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.onnx"
        path.write_bytes(TINY_GRAPH)
        return open_everywhere(path, "fp32", seconds, devices)


def _choice(precision: str) -> tuple[runtimes.Choice | None, str]:
    """Return the runtime that commands take, or None and why there is none."""
    try:
        return runtimes.choice_here(precision), ""
    except RuntimeMissing as error:
        return None, str(error)
