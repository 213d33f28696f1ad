"""Node placement: the provider of ONNX Runtime that ran each node, from the session's profile."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomedge.errors import DeviceMismatch
from anomedge.runtimes.nvidia.providers import CPU

__all__ = ["Placement", "read_placement"]

_LARGEST_SHAPE = 4096
"""Bytes. ONNX Runtime computes shapes on the CPU by design; larger data is no shape."""
_SIZES = ("output_size", "activation_size", "parameter_size")
_SHOWN = 5


@dataclass(frozen=True)
class Placement:
    """Providers of the nodes of one run.

    Attributes:
        nodes: number of nodes per provider.
        on_cpu: nodes on the CPU that handle more than shapes.
    """

    nodes: dict[str, int]
    on_cpu: tuple[str, ...]

    def check(self, name: str, provider: str) -> None:
        """Check that the provider ran the graph.

        Args:
            name: name of the runtime, for messages.
            provider: the provider asked for.

        Raises:
            DeviceMismatch: it ran no node, or nodes that are no shape arithmetic ran on the CPU.
        """
        if not self.nodes.get(provider):
            raise DeviceMismatch(
                f"{name}: asked for {provider}, under which no node ran "
                f"({self._counts()}); install what it needs, or ask for another"
            )
        if self.on_cpu:
            raise DeviceMismatch(
                f"{name}: asked for {provider}, but {len(self.on_cpu)} nodes "
                f"run on the CPU: {self._nodes_on_cpu()}; "
                f"expected all on the GPU: install a release that has them"
            )

    def _counts(self) -> str:
        shown = [
            f"{count} under {provider}"
            for provider, count in self.nodes.items()
        ]
        return ", ".join(shown) or "nothing"

    def _nodes_on_cpu(self) -> str:
        shown = ", ".join(self.on_cpu[:_SHOWN])
        hidden = len(self.on_cpu) - _SHOWN
        return f"{shown} and {hidden} more" if hidden > 0 else shown


def read_placement(profile: Path) -> Placement:
    """Read the placement from a session's profile.

    Session options can forbid the CPU (session.disable_cpu_ep_fallback), but then
    they forbid shape arithmetic there as well, which belongs there
    (microsoft/onnxruntime#17930); the profile tells the two apart in every release.
    """
    providers: dict[str, str] = {}
    sizes: dict[str, int] = {}
    for event in _node_events(profile):
        arguments = event["args"]
        node = str(event["name"]).removesuffix("_kernel_time")
        providers[node] = str(arguments["provider"])
        if providers[node] == CPU:
            moved = [int(arguments.get(key) or 0) for key in _SIZES]
            sizes[f"{arguments.get('op_name', '')} {node}"] = max(moved)
    on_cpu = [node for node, size in sizes.items() if size > _LARGEST_SHAPE]
    return Placement(dict(Counter(providers.values())), tuple(on_cpu))


def _node_events(profile: Path) -> Iterator[dict[str, Any]]:
    text = profile.read_text(encoding="utf-8", errors="replace")
    for event in json.loads(text):
        if event.get("cat") == "Node" and event.get("args", {}).get("provider"):
            yield event
