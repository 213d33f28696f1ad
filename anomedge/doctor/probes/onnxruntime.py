"""ONNX Runtime: its release, and the providers that really open a graph; it lists others and falls back silently."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anomedge.doctor.base import Finding, Probe
from anomedge.doctor.tiny import TINY_GRAPH
from anomedge.doctor.vendor import imported, one_line
from anomedge.runtimes.imports import import_onnxruntime
from anomedge.runtimes.nvidia import providers

__all__ = ["OnnxRuntime"]

_NOT_LOCAL = "AzureExecutionProvider"
"""It sends data to a service, so it is not tried."""


class OnnxRuntime(Probe):
    """ONNX Runtime and its providers."""

    name = "onnxruntime"
    title = "ONNX Runtime"
    order = 40

    @classmethod
    def look(cls) -> Iterator[Finding]:
        """Open a graph of one layer with each listed provider."""
        vendor, finding = imported(cls.name, cls.title, import_onnxruntime)
        yield finding
        if vendor is None:
            return
        # The CPU first: a provider may end the process.
        for name in reversed(vendor.get_available_providers()):
            if name != _NOT_LOCAL:
                yield _provider(vendor, name)


def _provider(vendor: Any, name: str) -> Finding:
    """Return whether a session with one provider has it."""
    if name in {providers.CUDA, providers.TENSORRT}:
        providers.preload(vendor, name)
    try:
        session = vendor.InferenceSession(TINY_GRAPH, providers=[name])
    except Exception as error:  # noqa: BLE001 - vendors raise anything
        return Finding(name, f"listed, fails: {one_line(error)}", "broken")
    real = session.get_providers()[0]
    if real != name:
        text = f"listed, but a session falls back to {real} without an error"
        return Finding(name, text, "broken")
    return Finding(name, "a session opens with it")
