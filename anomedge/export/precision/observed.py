"""Value ranges of networks and stages, observed while a detector runs on pictures in float32."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from anomedge.bundle.ranges import LARGEST, SAFETY, Range
from anomedge.export.precision.bounds import finite, four_digits, largest
from anomedge.pipelines.folded_networks import layer_of

__all__ = ["SHOWN", "ObservedNetwork", "StageRanges"]

SHOWN = 5
"""Number of layers and of weights that are reported, those nearest to the limit."""
_FEATURES = "features/"


class ObservedNetwork(nn.Module):
    """A network that records the largest magnitude of each layer's output.

    Args:
        graph: the network.
        prefix: put before the layers' names.
    """

    def __init__(self, graph: fx.GraphModule, prefix: str) -> None:
        super().__init__()
        self.graph = graph
        self.prefix = prefix
        self.largest: dict[str, float] = {}

    def forward(self, *inputs: Any) -> Any:
        """Run the network and record its layers' outputs."""
        return _Observer(self).run(*inputs)

    def ranges(self) -> list[Range]:
        """Return the ranges of the layers with the largest values and of the first layer that is too large."""
        by_value = sorted(self.largest, key=self.largest.__getitem__)
        shown = set(by_value[-SHOWN:])
        for name, value in self.largest.items():
            if value * SAFETY > LARGEST:
                shown.add(name)
                break
        ranges = []
        for name, value in self.largest.items():
            if name in shown:
                seen = four_digits(value)
                ranges.append(
                    Range(part="backbone", name=name, halved=True, seen=seen)
                )
        return ranges


class _Observer(fx.Interpreter):
    """Run a network once and record its layers' outputs."""

    def __init__(self, network: ObservedNetwork) -> None:
        super().__init__(network.graph)
        self.network = network

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        is_value = n.op in {"call_function", "placeholder"}
        if (
            is_value
            and isinstance(result, Tensor)
            and result.is_floating_point()
        ):
            name = self.network.prefix + layer_of(n)
            value = finite(name, largest(result))
            recorded = self.network.largest
            recorded[name] = max(recorded.get(name, 0.0), value)
        return result


class StageRanges:
    """Smallest and largest value of each channel of each stage."""

    def __init__(self) -> None:
        self.ends: dict[str, tuple[Tensor, Tensor]] = {}

    def add(self, stages: Mapping[str, Tensor]) -> None:
        """Take the stages of one batch into account."""
        for name, x in stages.items():
            rows = x.transpose(0, 1).flatten(1) if x.ndim > 1 else x[None]
            low, high = rows.amin(dim=1), rows.amax(dim=1)
            if name in self.ends:
                known_low, known_high = self.ends[name]
                low = torch.minimum(low, known_low)
                high = torch.maximum(high, known_high)
            self.ends[name] = low, high

    def largest(self, name: str) -> float:
        """Return the largest magnitude of a stage, 0 for an unknown one."""
        if name not in self.ends:
            return 0.0
        return largest(torch.cat(self.ends[name]))

    def names(self) -> list[str]:
        """Return the names of the stages that networks do not compute."""
        return [name for name in self.ends if not name.startswith(_FEATURES)]

    def features(self) -> tuple[Tensor, Tensor]:
        """Return smallest and largest value of the channels of all features, (d,) each.

        The range includes 0, because an average over a padded neighbourhood includes zeros.
        """
        ends = [torch.zeros(2, 0)]
        for name, channels in self.ends.items():
            if name.startswith(_FEATURES):
                ends.append(torch.stack(channels))
        low, high = torch.cat(ends, dim=1)
        return low.clamp(max=0), high.clamp(min=0)
