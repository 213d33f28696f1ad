"""Asking the vendors' own parsers, each in a process of its own: what crashes or hangs there ends there."""

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


@dataclass(frozen=True)
class Fault:
    """What a vendor refused: the node it named, or "", and its words."""

    node: str
    text: str


@dataclass(frozen=True)
class Verdict:
    """What a vendor's process did with a graph.

    Attributes:
        tool, version: of the vendor; the version is "" where the process ended before it said.
        steps: what was done: parsed, built, read, compiled.
        faults: what was refused; empty where nothing was.
        unfinished: it was stopped for time.
        note: why a step was left out.
        seconds: that it took.
        described: inputs and operations of what was read, where the vendor says them.
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
    """Can this vendor be asked here?"""
    return importlib.util.find_spec(MODULES[vendor]) is not None


def ask(vendor: Vendor, path: Path, argument: str, timeout: float) -> Verdict:
    """Run a vendor's worker over a graph.

    Args:
        vendor: whose.
        path: the graph or the IR.
        argument: the largest batch for rtx; "read" or "compile" for openvino.
        timeout: seconds.
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
    """Name, operator and first output of the node that a vendor means; what it named where the graph has none such."""
    meant = next(_meant(graph, fault), None)
    return (
        (fault.node, "", "")
        if meant is None
        else (meant.name, meant.op, next(iter(meant.outputs), ""))
    )


def _meant(graph: Graph, fault: Fault) -> Iterator[Node]:
    """Nodes that a vendor named, then those whose names or operators are among its words."""
    yield from (
        node for node in graph.nodes if fault.node and node.name == fault.node
    )
    spoken = (
        node
        for node in graph.nodes
        if re.search(rf"(?<!\w){re.escape(node.name)}(_\d+)?(?!\w)", fault.text)
    )
    yield from sorted(spoken, key=lambda node: -len(node.name))
    operators = re.search(r"found for operations: (.+)", fault.text)
    named = (
        {name.split(".")[-1].split("-")[0] for name in operators[1].split(", ")}
        if operators
        else set()
    )
    yield from (node for node in graph.nodes if node.op in named)


def _verdict(
    vendor: Vendor, done: subprocess.CompletedProcess[bytes], seconds: float
) -> Verdict:
    lines = [
        line
        for line in done.stdout.decode(errors="replace").splitlines()
        if line.startswith(_MARK)
    ]
    if not lines:
        # A package that does not load, or a machine without room for it, says nothing of the graph.
        if (
            _STARTED not in done.stdout.decode(errors="replace")
            or done.returncode == -_KILLED
        ):
            return Verdict(
                MODULES[vendor], "", (), (), False, _ending(done), seconds
            )
        return Verdict(
            MODULES[vendor],
            "",
            (),
            (Fault("", _ending(done)),),
            False,
            "",
            seconds,
        )
    said = json.loads(lines[-1].removeprefix(_MARK))
    faults = tuple(
        Fault(fault["node"], _short(fault["text"])) for fault in said["faults"]
    )
    return Verdict(
        tool=MODULES[vendor], version=said["version"], steps=tuple(said["steps"]), faults=faults, unfinished=False,
        note=said["note"], seconds=seconds, described=said.get("described", {}),
    )  # fmt: skip


def _ending(done: subprocess.CompletedProcess[bytes]) -> str:
    """How a process ended that said nothing."""
    last = _short(
        "".join(done.stderr.decode(errors="replace").strip().splitlines()[-1:])
    )
    if done.returncode < 0 and os.name == "posix":
        return (
            f"its process ended by {signal.Signals(-done.returncode).name}"
            + (f": {last}" if last else "")
        )
    return f"its process ended with {done.returncode}: {last}"


def _short(text: str) -> str:
    """A vendor's words in one line, without the places in its own sources that say nothing of the graph."""
    kept = [
        line
        for line in text.split("Summary:")[-1].splitlines()
        if not re.search(r"Exception from src|catchCudaError", line)
    ]
    line = " ".join(" ".join(kept).split()).lstrip("- ")
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
