"""Rewritings that leave a graph's values as they are, and less of it to store or compute."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from anomedge.export.passes.edits import drop_unused

__all__ = [
    "PACKED_BELOW",
    "WORTH_PACKING",
    "keep_zeros_before_pools",
    "pack_zeros",
    "plain_reshapes",
    "select_channels_early",
]

Indices = npt.NDArray[np.int64]

WORTH_PACKING = 1 << 16
"""Bytes below which a tensor stays as it is."""
PACKED_BELOW = 0.9
"""Share of places in use from which on a tensor stays as it is."""
_FLOATS = frozenset({onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16})
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


def pack_zeros(proto: onnx.ModelProto) -> None:
    """Store no number that is zero at every patch: triangular matrices take half their bytes.

    A tensor (P, n, m) becomes (P, k + 1), its k places that are not always zero and one zero, and a Gather that puts them
    back. Runtimes do that once, when they load the graph: constants are folded.

    Ensures: every value as before, bit for bit (a zero's sign aside).
    """
    packed = {}
    for place, tensor in enumerate(proto.graph.initializer):
        if len(tensor.dims) == 3 and len(tensor.raw_data) >= WORTH_PACKING:
            values = numpy_helper.to_array(tensor)
            used = (values != 0).any(axis=0)
            if used.mean() < PACKED_BELOW:
                packed[place] = (values, used)
    unpacking: list[onnx.NodeProto] = []
    for place, (values, used) in packed.items():
        unpacking += _pack(proto.graph, place, values, used)
    for node in reversed(unpacking):
        proto.graph.node.insert(0, node)


def _pack(
    graph: onnx.GraphProto,
    place: int,
    values: npt.NDArray[Any],
    used: npt.NDArray[np.bool_],
) -> list[onnx.NodeProto]:
    name, count = graph.initializer[place].name, int(used.sum())
    places = np.full(used.shape, count, dtype=np.int64)
    places[used] = np.arange(count)
    stored = np.concatenate(
        [values[:, used], np.zeros((len(values), 1), values.dtype)], axis=1
    )
    graph.initializer[place].CopyFrom(
        numpy_helper.from_array(stored, f"{name}.packed")
    )
    graph.initializer.append(
        numpy_helper.from_array(places.ravel(), f"{name}.places")
    )
    graph.initializer.append(
        numpy_helper.from_array(
            np.asarray(values.shape, np.int64), f"{name}.shape"
        )
    )
    gather = helper.make_node(
        "Gather",
        [f"{name}.packed", f"{name}.places"],
        [f"{name}.flat"],
        name=f"{name}.unpack",
        axis=1,
    )
    return [
        gather,
        helper.make_node(
            "Reshape",
            [f"{name}.flat", f"{name}.shape"],
            [name],
            name=f"{name}.reshape",
        ),
    ]


def keep_zeros_before_pools(proto: onnx.ModelProto) -> None:
    """Pad with the least positive number where a maximum follows a Pad with zeros, as in BiT's ResNets.

    ONNX Runtime, 1.31 among others, takes such a Pad into the MaxPool, whose own padding is no zero but less than every
    number: where all values in a window at the border are negative, another maximum. Only a zero is taken in.

    Ensures: every value as before, but for a maximum of zero at the border, which becomes 1e-38 (6e-5 in float16). What
    something else reads as well is left, as it is by ONNX Runtime.
    """
    others = {
        name
        for node in proto.graph.node
        if node.op_type != "MaxPool"
        for name in node.input
    }
    pooled = {
        node.input[0] for node in proto.graph.node if node.op_type == "MaxPool"
    } - others
    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in (*proto.graph.value_info, *proto.graph.output)
    }
    for pad in proto.graph.node:
        if (
            pad.op_type != "Pad"
            or not pooled.intersection(pad.output)
            or _mode(pad) != b"constant"
        ):
            continue
        told = constants.get(pad.input[2]) if len(pad.input) > 2 else None
        unsaid = not any(pad.input[2:3])
        kind = types.get(pad.output[0]) if unsaid else told and told.data_type
        if kind not in _FLOATS or (
            told is not None and numpy_helper.to_array(told).any()
        ):
            continue
        name = f"{pad.output[0]}.least"
        least = np.asarray(np.finfo(helper.tensor_dtype_to_np_dtype(kind)).tiny)
        proto.graph.initializer.append(numpy_helper.from_array(least, name))
        axes = list(pad.input[3:])
        del pad.input[2:]
        pad.input.extend([name, *axes])
    drop_unused(proto)


def _mode(pad: onnx.NodeProto) -> bytes:
    return next(
        (
            attribute.s
            for attribute in pad.attribute
            if attribute.name == "mode"
        ),
        b"constant",
    )


def plain_reshapes(proto: onnx.ModelProto) -> None:
    """Drop `allowzero`, which torch writes on every Reshape, where no zero is: readers that do not know it refuse it.

    Ensures: every value as before; a shape with a zero in it, or computed at run time, keeps the attribute.
    """
    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        shape = (
            constants.get(node.input[1]) if node.op_type == "Reshape" else None
        )
        if shape is not None and numpy_helper.to_array(shape).all():
            kept = [
                attribute
                for attribute in node.attribute
                if attribute.name != "allowzero"
            ]
            del node.attribute[:]
            node.attribute.extend(kept)


def select_channels_early(proto: onnx.ModelProto) -> None:
    """Move a constant selection of channels up to the convolution that makes them: the others are never computed.

    Requires: `proto.graph.value_info` of the values in between, as torch writes it.
    Ensures: every output as before; no value that something else reads is touched.
    """
    _Selection(proto.graph).run()
    drop_unused(proto)


class _Selection:
    """One walk over a graph's channel selections."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.makers = {
            output: node for node in graph.node for output in node.output
        }
        self.readers = Counter(
            name for node in graph.node for name in node.input
        )
        self.readers.update(value.name for value in graph.output)
        self.ranks = {
            v.name: len(v.type.tensor_type.shape.dim)
            for v in [*graph.value_info, *graph.input]
        }
        self.channels = {v.name: _channels(v) for v in graph.value_info}
        self.added = 0

    def run(self) -> None:
        for node in list(self.graph.node):
            if node.op_type == "Gather" and self._selects_channels(node):
                indices = np.asarray(
                    numpy_helper.to_array(self.constants[node.input[1]]),
                    dtype=np.int64,
                )
                if self._movable(node.input[0], len(indices)):
                    source = self._selected(node.input[0], indices)
                    self._replace(node, source)
                    del self.graph.value_info[:]  # sizes that no longer hold
        _sort(self.graph)

    def _selects_channels(self, node: onnx.NodeProto) -> bool:
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        indices = self.constants.get(node.input[1])
        return (
            axis == 1
            and indices is not None
            and len(indices.dims) == 1
            and self.ranks.get(node.input[0]) == 4
        )

    def _movable(self, name: str, count: int) -> bool:
        """Does something make this value for this selection alone, and is it a step that selects as well as it computes?"""
        node = self.makers.get(name)
        known = self.channels.get(name)
        if (
            node is None
            or self.readers[name] != 1
            or known is None
            or count >= known
            or self.ranks.get(name) != 4
        ):
            return False
        if node.op_type in _CHANNELWISE:
            return all(
                not given or given not in self.channels
                for given in node.input[1:]
            )
        if node.op_type in {"Add", "Mul"}:
            return all(
                self.channels.get(given) == known for given in node.input
            )
        return node.op_type in {
            "BatchNormalization",
            "Conv",
        } and self._own_weights(node)

    def _own_weights(self, node: onnx.NodeProto) -> bool:
        if any(
            given not in self.constants for given in node.input[1:] if given
        ):
            return False
        return (
            node.op_type == "BatchNormalization"
            or _groups(node) == 1
            or self._depthwise(node)
        )

    def _depthwise(self, node: onnx.NodeProto) -> bool:
        outputs, inputs = self.constants[node.input[1]].dims[:2]
        return bool(inputs == 1 and _groups(node) == outputs)

    def _selected(self, name: str, indices: Indices) -> str:
        """The name of the value's chosen channels."""
        if not self._movable(name, len(indices)):
            return self._gathered(name, indices)
        node = self.makers[name]
        if node.op_type in {"Add", "Mul"}:
            node.input[:] = [
                self._selected(given, indices) for given in node.input
            ]
        elif node.op_type == "Conv" and not self._depthwise(node):
            self._slice(node, indices)
        else:
            if node.op_type in {"BatchNormalization", "Conv"}:
                self._slice(node, indices)
            if node.op_type == "Conv":
                next(a for a in node.attribute if a.name == "group").i = len(
                    indices
                )
            node.input[0] = self._selected(node.input[0], indices)
        return name

    def _slice(self, node: onnx.NodeProto, indices: Indices) -> None:
        for place, given in enumerate(node.input):
            if place and given:
                chosen = numpy_helper.to_array(self.constants[given])[indices]
                node.input[place] = self._constant(
                    np.ascontiguousarray(chosen), f"{given}.selected"
                )

    def _gathered(self, name: str, indices: Indices) -> str:
        self.added += 1
        output = f"{name}.selected{self.added}"
        places = self._constant(indices, f"{output}.places")
        self.graph.node.append(
            helper.make_node(
                "Gather", [name, places], [output], name=output, axis=1
            )
        )
        return output

    def _constant(self, values: npt.NDArray[Any], name: str) -> str:
        self.added += 1
        self.graph.initializer.append(
            numpy_helper.from_array(values, f"{name}{self.added}")
        )
        return f"{name}{self.added}"

    def _replace(self, gather: onnx.NodeProto, source: str) -> None:
        """Let the selected value take the Gather's name, which readers and outputs know."""
        target = gather.output[0]
        self.graph.node.remove(gather)
        maker = self.makers[source]
        maker.output[:] = [
            target if name == source else name for name in maker.output
        ]


def _groups(node: onnx.NodeProto) -> int:
    return int(next((a.i for a in node.attribute if a.name == "group"), 1))


def _channels(value: onnx.ValueInfoProto) -> int | None:
    dimensions = value.type.tensor_type.shape.dim
    return (
        int(dimensions[1].dim_value)
        if len(dimensions) == 4 and dimensions[1].dim_value
        else None
    )


def _sort(graph: onnx.GraphProto) -> None:
    """Put nodes behind those that they read, in the order they were in where that leaves a choice."""
    waiting, known = (
        list(graph.node),
        {t.name for t in graph.initializer}
        | {v.name for v in graph.input}
        | {""},
    )
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
