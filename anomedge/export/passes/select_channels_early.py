"""Move a constant selection of channels up to the convolution that computes them; the other channels are never computed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from anomedge.errors import ExportError
from anomedge.export.graphs import drop_unused
from anomedge.export.passes.base import Pass

__all__ = ["SelectChannelsEarly"]

Indices = npt.NDArray[np.int64]

_CHANNELWISE = frozenset(
    {
        "Cast",
        "Clip",
        "Elu",
        "Gelu",
        "HardSigmoid",
        "HardSwish",
        "LeakyRelu",
        "Mish",
        "Relu",
        "Sigmoid",
        "Softplus",
        "Tanh",
    }
)
"""Operators that compute each channel from the same channel."""


class SelectChannelsEarly(Pass):
    """Replace a Gather of channels by convolutions, and steps behind them, of these channels only.

    Requires: shapes of the inner values, as torch writes them.
    Ensures: every output is unchanged; values that another node reads are not touched.
    """

    name = "select_channels_early"
    after = ("keep_zeros_before_pools",)  # it reads types, which this removes

    def requires(self, model: onnx.ModelProto) -> None:
        """Raise ExportError for a graph with selections of channels but without shapes of inner values."""
        graph = model.graph
        if graph.value_info:
            return
        constants = {tensor.name for tensor in graph.initializer}
        for node in graph.node:
            selects = node.op_type == "Gather" and node.input[1] in constants
            if selects and _integer(node, "axis", 0) == 1:
                raise ExportError(
                    f"node {node.name}: got a selection of channels of a value without a shape; expected the shapes that "
                    f"torch writes: run select_channels_early before passes that remove them"
                )

    def rewrite(self, model: onnx.ModelProto) -> bool:
        """Move every selection as far up as possible; remove constants that are not read any more."""
        moved = _Selection(model.graph).run()
        return drop_unused(model) or moved


class _Selection:
    """One walk over the channel selections of a graph."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.producers: dict[str, onnx.NodeProto] = {}
        self.readers: Counter[str] = Counter()
        for node in graph.node:
            self.producers.update(dict.fromkeys(node.output, node))
            self.readers.update(node.input)
        self.readers.update(value.name for value in graph.output)
        self.ranks = {
            value.name: len(value.type.tensor_type.shape.dim)
            for value in (*graph.value_info, *graph.input)
        }
        self.channels = {v.name: _channels(v) for v in graph.value_info}
        self.added = 0

    def run(self) -> bool:
        """Move every selection that can be moved; return True if there was one."""
        moved = False
        for node in list(self.graph.node):
            if not self._selects_channels(node):
                continue
            source, indices = node.input[0], self._indices(node)
            if self._movable(source, len(indices)):
                self._replace(node, self._selected(source, indices))
                del self.graph.value_info[:]  # no longer the right sizes
                moved = True
        _sort(self.graph)
        return moved

    def _selects_channels(self, node: onnx.NodeProto) -> bool:
        if node.op_type != "Gather" or _integer(node, "axis", 0) != 1:
            return False
        indices = self.constants.get(node.input[1])
        is_vector = indices is not None and len(indices.dims) == 1
        return is_vector and self.ranks.get(node.input[0]) == 4

    def _indices(self, node: onnx.NodeProto) -> Indices:
        values = numpy_helper.to_array(self.constants[node.input[1]])
        return np.asarray(values, dtype=np.int64)

    def _movable(self, name: str, count: int) -> bool:
        """Return True if only the selection reads this value, and the node that computes it can select channels."""
        node, known = self.producers.get(name), self.channels.get(name)
        if node is None or known is None or count >= known:
            return False
        if self.readers[name] != 1 or self.ranks.get(name) != 4:
            return False
        if node.op_type in _CHANNELWISE:
            others = node.input[1:]
            return not any(other in self.channels for other in others if other)
        if node.op_type in {"Add", "Mul"}:
            counts = [self.channels.get(given) for given in node.input]
            return all(each == known for each in counts)
        if node.op_type in {"BatchNormalization", "Conv"}:
            return self._own_weights(node)
        return False

    def _own_weights(self, node: onnx.NodeProto) -> bool:
        """Return True if the weights are constants with one row per output channel."""
        weights = [given for given in node.input[1:] if given]
        if not self.constants.keys() >= set(weights):
            return False
        if node.op_type == "BatchNormalization" or _groups(node) == 1:
            return True
        return self._depthwise(node)

    def _depthwise(self, node: onnx.NodeProto) -> bool:
        outputs, inputs = self.constants[node.input[1]].dims[:2]
        return bool(inputs == 1 and _groups(node) == outputs)

    def _selected(self, name: str, indices: Indices) -> str:
        """Return the name of the selected channels of a value."""
        if not self._movable(name, len(indices)):
            return self._gathered(name, indices)
        node = self.producers[name]
        if node.op_type in {"Add", "Mul"}:
            inputs = [self._selected(given, indices) for given in node.input]
            node.input[:] = inputs
            return name
        if node.op_type == "Conv":
            depthwise = self._depthwise(node)
            self._slice(node, indices)
            if not depthwise:
                return name
            _set_groups(node, len(indices))
        if node.op_type == "BatchNormalization":
            self._slice(node, indices)
        node.input[0] = self._selected(node.input[0], indices)
        return name

    def _slice(self, node: onnx.NodeProto, indices: Indices) -> None:
        """Replace the weights by their selected rows."""
        for place, given in enumerate(node.input):
            if place and given:
                values = numpy_helper.to_array(self.constants[given])[indices]
                rows = np.ascontiguousarray(values)
                name = self._constant(rows, f"{given}.selected")
                node.input[place] = name

    def _gathered(self, name: str, indices: Indices) -> str:
        self.added += 1
        output = f"{name}.selected{self.added}"
        places = self._constant(indices, f"{output}.places")
        gather = helper.make_node(
            "Gather", [name, places], [output], name=output, axis=1
        )
        self.graph.node.append(gather)
        return output

    def _constant(self, values: npt.NDArray[Any], name: str) -> str:
        self.added += 1
        numbered = f"{name}{self.added}"
        tensor = numpy_helper.from_array(values, numbered)
        self.graph.initializer.append(tensor)
        return numbered

    def _replace(self, gather: onnx.NodeProto, source: str) -> None:
        """Remove the Gather and give its output's name to the selected value."""
        target = gather.output[0]
        self.graph.node.remove(gather)
        outputs = self.producers[source].output
        for place, name in enumerate(outputs):
            if name == source:
                outputs[place] = target


def _integer(node: onnx.NodeProto, name: str, default: int) -> int:
    for attribute in node.attribute:
        if attribute.name == name:
            return int(attribute.i)
    return default


def _groups(node: onnx.NodeProto) -> int:
    return _integer(node, "group", 1)


def _set_groups(node: onnx.NodeProto, count: int) -> None:
    for attribute in node.attribute:
        if attribute.name == "group":
            attribute.i = count


def _channels(value: onnx.ValueInfoProto) -> int | None:
    dimensions = value.type.tensor_type.shape.dim
    if len(dimensions) != 4 or not dimensions[1].dim_value:
        return None
    return int(dimensions[1].dim_value)


def _sort(graph: onnx.GraphProto) -> None:
    """Sort nodes topologically; otherwise keep their order."""
    known = {tensor.name for tensor in graph.initializer}
    known |= {value.name for value in graph.input} | {""}
    waiting = list(graph.node)
    ordered: list[onnx.NodeProto] = []
    while waiting:
        later: list[onnx.NodeProto] = []
        for node in waiting:
            if known.issuperset(node.input):
                ordered.append(node)
                known.update(node.output)
            else:
                later.append(node)
        waiting = later
    del graph.node[:]
    graph.node.extend(ordered)
