"""trtexec: the command line that builds a TensorRT engine of the graph on the device.

Reference:
    NVIDIA TensorRT, "Command-Line Programs: trtexec".
"""

from __future__ import annotations

import shlex
from pathlib import Path

from anomedge.serving.base import Server
from anomedge.serving.graph import ServedGraph

__all__ = ["Trtexec", "engine_command"]


class Trtexec(Server):
    """NVIDIA's command-line tool."""

    name = "trtexec"
    summary = "build.sh with a trtexec line that builds an engine"

    @classmethod
    def write(cls, graph: ServedGraph, folder: Path) -> None:
        """Write `build.sh` beside a copy of the graph."""
        graph.copy_onnx(folder)
        command = engine_command(graph, graph.onnx_file(), "model.plan")
        (folder / "build.sh").write_text(
            f'#!/bin/sh\nCDPATH= cd -- "$(dirname -- "$0")" && exec {command}\n'
        )
        (folder / "build.sh").chmod(0o755)


def engine_command(graph: ServedGraph, onnx: str, plan: str) -> str:
    """Return a trtexec line; float32 is float32, also in other precisions, which are those of the graph's types."""
    words = ["trtexec", f"--onnx={onnx}", f"--saveEngine={plan}", "--noTF32"]
    if graph.precision != "fp32":
        words.append("--stronglyTyped")
    if graph.is_dynamic:
        for name, batch in (("min", 1), ("opt", 1), ("max", graph.largest)):
            sizes = "x".join(map(str, graph.shape(batch)))
            words.append(f"--{name}Shapes={graph.input.name}:{sizes}")
    return shlex.join(words)
