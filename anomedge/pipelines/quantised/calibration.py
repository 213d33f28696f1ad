"""Scales of the inputs of quantised products, and their multiplications, from images."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from anomedge.pipelines.networks import map_tensors
from anomedge.pipelines.quantised.network import products_of
from anomedge.pipelines.quantised.scales import LARGEST_LEVEL, neighbours

__all__ = ["Histogram", "ObservedNetwork"]

_BINS = 2048
_CANDIDATES = 7
"""Short scales to try: down to an eighth of the largest."""


class Histogram:
    """Histogram of the magnitudes of a value; its range doubles when a larger one is seen."""

    def __init__(self) -> None:
        self.top = 0.0
        self.counts = torch.zeros(_BINS, dtype=torch.float64)

    def add(self, values: Tensor) -> None:
        """Count the magnitudes of values; zeros have no rounding error and are left out."""
        magnitudes = values.detach().abs().flatten()
        magnitudes = magnitudes[magnitudes > 0]
        if not magnitudes.numel():
            return
        largest = float(magnitudes.max())
        if self.top == 0:
            self.top = largest
        while largest > self.top:
            pairs = self.counts.reshape(-1, 2).sum(dim=1)
            self.counts = torch.cat([pairs, torch.zeros_like(pairs)])
            self.top *= 2
        self.counts += torch.histc(
            magnitudes, bins=_BINS, min=0.0, max=self.top
        ).double()

    def scale(self) -> float:
        """Return the short scale of the least mean squared error, with clipped values counted at their full error."""
        if self.top == 0:
            return 1.0 / (LARGEST_LEVEL + 1)
        centres = (torch.arange(_BINS).double() + 0.5) * self.top / _BINS
        used = int(self.counts.nonzero().max()) + 1
        candidates = _short_scales(self.top * used / _BINS / LARGEST_LEVEL)
        errors = [self._error(centres, scale) for scale in candidates]
        return candidates[int(torch.tensor(errors).argmin())]

    def _error(self, centres: Tensor, scale: float) -> float:
        """Return the summed squared error of the levels of a scale."""
        levels = (centres / scale).round().clamp(max=LARGEST_LEVEL)
        errors = (levels * scale - centres).square()
        return float((self.counts * errors).sum())


def _short_scales(largest: float) -> list[float]:
    """Return the short scales from the first one that is at least `largest` downwards."""
    scales = [neighbours(torch.tensor(largest, dtype=torch.float64))[1]]
    while len(scales) < _CANDIDATES:
        # The next one is 3/4 or 2/3 of it.
        scales.append(neighbours(scales[-1] * 0.9)[0])
    return [float(each) for each in scales]


Histograms = dict[str, Histogram]


class ObservedNetwork(nn.Module):
    """A network that counts the magnitudes of the inputs of its products, and their multiplications.

    Args:
        graph: one of `folded_networks`.
    """

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__()
        self.graph = graph
        self.products = list(products_of(graph))
        self.histograms: Histograms = {}
        for product in self.products:
            self.histograms.setdefault(product.source.name, Histogram())
        self.values: dict[str, int] = {}

    def forward(self, *inputs: Any) -> Any:
        """Return the network's outputs."""
        observer = _Observer(self.graph, self.histograms)
        outputs = observer.run(*inputs)
        images = _count_of(inputs)
        for product in self.products:
            node = product.node.name
            self.values[product.name] = observer.values[node] // images
        return outputs

    def multiplications(self) -> dict[str, int]:
        """Return the multiplications of each product for an image, by the product's name."""
        of_value = {
            product.name: product.weights(self.graph)[0].numel()
            for product in self.products
        }
        return {n: self.values[n] * each for n, each in of_value.items()}

    def scales(self) -> dict[str, float]:
        """Return the scale of each product's input, by the product's name; products of one value share a scale."""
        of_value = {
            name: histogram.scale()
            for name, histogram in self.histograms.items()
        }
        return {
            product.name: of_value[product.source.name]
            for product in self.products
        }


def _count_of(inputs: Any) -> int:
    """Return the number of images of a network's inputs, which may be lists or dictionaries of tensors."""
    sizes: list[int] = []

    def note(values: Tensor) -> Tensor:
        sizes.append(len(values))
        return values

    map_tensors(note, inputs)
    return sizes[0]


class _Observer(fx.Interpreter):
    def __init__(self, graph: fx.GraphModule, histograms: Histograms) -> None:
        super().__init__(graph)
        self.histograms = histograms
        self.values: dict[str, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n.name in self.histograms:
            self.histograms[n.name].add(value)
        if isinstance(value, Tensor):
            self.values[n.name] = value.numel()
        return value
