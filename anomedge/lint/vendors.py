"""Run the vendors' own parsers on graphs, each in a separate process that may crash or hang."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from anomedge.lint.graph import Graph, Node
from anomedge.lint.shapes import SAFE_PATH

__all__ = [
    "MODULES",
    "Fault",
    "Vendor",
    "Verdict",
    "ask",
    "installed",
    "node_of",
]

Vendor = Literal["rtx", "openvino"]
MODULES: dict[Vendor, str] = {"rtx": "tensorrt_rtx", "openvino": "openvino"}

_MARK = "anomedge-lint:"
_STARTED = "anomedge-lint-started"
_LONGEST = 400
_KILLED = 9
_SOURCE_POSITION = re.compile(r"Exception from src|catchCudaError")


@dataclass(frozen=True)
class Fault:
    """A refusal by a vendor: the node that it named, or "", and its message."""

    node: str
    text: str


@dataclass(frozen=True)
class Verdict:
    """Result of a vendor's process on one graph.

    Attributes:
        tool, version: module and version of the vendor; the version is "" if the
            process ended early.
        steps: completed steps: parsed, built, read, compiled.
        faults: refusals; empty if there were none.
        unfinished: whether the process was stopped at its time limit.
        note: reason why a step was left out.
        seconds: duration.
        described: inputs and operations of the graph, if the vendor reports them.
    """

    tool: str
    version: str
    steps: tuple[str, ...]
    faults: tuple[Fault, ...]
    unfinished: bool
    note: str
    seconds: float
    described: dict[str, Any] = field(default_factory=dict)


def installed(vendor: Vendor) -> bool:
    """Return whether the vendor's package is installed here."""
    return importlib.util.find_spec(MODULES[vendor]) is not None


def ask(vendor: Vendor, path: Path, argument: str, timeout: float) -> Verdict:
    """Run a vendor's worker on a graph.

    Args:
        vendor: the vendor.
        path: an ONNX graph or an OpenVINO IR.
        argument: the largest batch for rtx; "read" or "compile" for openvino.
        timeout: time limit in seconds.
    """
    worker = Path(__file__).parent / "workers" / f"{vendor}_worker.py"
    command = [sys.executable, str(worker), argument, str(path.resolve())]
    started = time.monotonic()
    try:
        done = subprocess.run(  # noqa: S603 - our own file
            command,
            capture_output=True,
            timeout=timeout,
            check=False,
            env=os.environ | SAFE_PATH,
        )
    except subprocess.TimeoutExpired:
        return Verdict(
            MODULES[vendor], "", (), (), True, "", time.monotonic() - started
        )
    return _verdict(vendor, done, time.monotonic() - started)


def node_of(graph: Graph, fault: Fault) -> tuple[str, str, str]:
    """Return name, operator and first output of a fault's node.

    If the graph has no such node, the name that the vendor gave, and "" twice.
    """
    node = next(_candidates(graph, fault), None)
    if node is None:
        return fault.node, "", ""
    return node.name, node.op, next(iter(node.outputs), "")


def _candidates(graph: Graph, fault: Fault) -> Iterator[Node]:
    """Yield the node of the fault's name, then nodes with a name or operator in its text."""
    for node in graph.nodes:
        if fault.node and node.name == fault.node:
            yield node
    mentioned = [node for node in graph.nodes if _mentions(fault.text, node)]
    yield from sorted(mentioned, key=lambda node: -len(node.name))
    operators = _operators_in(fault.text)
    for node in graph.nodes:
        if node.op in operators:
            yield node


def _mentions(text: str, node: Node) -> bool:
    pattern = rf"(?<!\w){re.escape(node.name)}(_\d+)?(?!\w)"
    return re.search(pattern, text) is not None


def _operators_in(text: str) -> set[str]:
    found = re.search(r"found for operations: (.+)", text)
    if found is None:
        return set()
    names = found[1].split(", ")
    return {name.split(".")[-1].split("-")[0] for name in names}


def _verdict(
    vendor: Vendor, done: subprocess.CompletedProcess[bytes], seconds: float
) -> Verdict:
    output = done.stdout.decode(errors="replace")
    lines = [line for line in output.splitlines() if line.startswith(_MARK)]
    if not lines:
        return _verdict_of_crash(vendor, done, output, seconds)
    result = json.loads(lines[-1].removeprefix(_MARK))
    faults = [
        Fault(fault["node"], _one_line(fault["text"]))
        for fault in result["faults"]
    ]
    return Verdict(
        tool=MODULES[vendor],
        version=result["version"],
        steps=tuple(result["steps"]),
        faults=tuple(faults),
        unfinished=False,
        note=result["note"],
        seconds=seconds,
        described=result.get("described", {}),
    )


def _verdict_of_crash(
    vendor: Vendor,
    done: subprocess.CompletedProcess[bytes],
    output: str,
    seconds: float,
) -> Verdict:
    """Return the verdict of a process that printed no result.

    A package that does not load, or a machine without enough memory, is no fault
    of the graph.
    """
    reason = _end_of(done)
    if _STARTED not in output or done.returncode == -_KILLED:
        return Verdict(MODULES[vendor], "", (), (), False, reason, seconds)
    faults = (Fault("", reason),)
    return Verdict(MODULES[vendor], "", (), faults, False, "", seconds)


def _end_of(done: subprocess.CompletedProcess[bytes]) -> str:
    """Format how a process without a result ended."""
    errors = done.stderr.decode(errors="replace").strip().splitlines()
    last = _one_line(errors[-1]) if errors else ""
    if done.returncode < 0 and os.name == "posix":
        name = signal.Signals(-done.returncode).name
        return f"its process ended by {name}" + (f": {last}" if last else "")
    return f"its process ended with {done.returncode}: {last}"


def _one_line(text: str) -> str:
    """Format a vendor's message in one line, without positions in the vendor's sources."""
    lines = text.split("Summary:")[-1].splitlines()
    kept = [line for line in lines if not _SOURCE_POSITION.search(line)]
    line = " ".join(" ".join(kept).split()).lstrip("- ")
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
