"""Arrange an IR for convolutions that read the channels last, as OpenVINO's do on CPUs.

The operations on each number stay the same. ONNX Runtime gains nothing from the rewrites, or loses, so the ONNX graph has
none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from anomedge.runtimes.imports import import_openvino

__all__ = ["arrange_for_channels_last"]

_Graph = Any
_Node = Any
"""An `openvino.Model` and its nodes; the vendor is imported where it is used."""

_CONVOLUTIONS = frozenset({"Convolution", "GroupConvolution"})
_SCALING = frozenset({"Add", "Divide", "Multiply", "Subtract"})
_RANK = 4
_CHANNELS = 1
"""Axis of the channels in planes."""
_CHANNELS_LAST = [0, 2, 3, 1]
_PLANES = [0, 3, 1, 2]


def arrange_for_channels_last(graph: _Graph) -> int:
    """Apply both rewrites in place; return the number of places that were rewritten.

    - Sums and products that scale a picture move before the Transpose to planes. OpenVINO merges a Transpose with its
      conversion to its own layout, but only where nothing lies between them.
    - A permutation of channels selects along the last axis. Along the second one, OpenVINO converts each map to planes
      and back, which takes a quarter of FastFlow's time.
    """
    scaled = sum(map(_scale_before, list(_transposes(graph))))
    return scaled + sum(map(_permute_last, list(_permutations(graph))))


def _transposes(graph: _Graph) -> Iterator[_Node]:
    """Yield each Transpose of four axes with scaling behind it that convolutions alone read."""
    for node in graph.get_ordered_ops():
        order = _order(node)
        if len(order) != _RANK:
            continue
        steps = list(_scaling_behind(node))
        last = steps[-1] if steps else node
        kinds = {reader.get_type_name() for reader in _readers(last)}
        if steps and kinds and kinds <= _CONVOLUTIONS:
            yield node


def _scaling_behind(node: _Node) -> Iterator[_Node]:
    """Yield the operations behind a node that scale all pixels alike, each the only reader of the one before."""
    while True:
        readers = _readers(node)
        if len(readers) != 1 or not _scales(readers[0], node):
            return
        (node,) = readers
        yield node


def _scales(node: _Node, given: _Node) -> bool:
    if node.get_type_name() not in _SCALING:
        return False
    constant = _values(_other(node, given))
    if constant is None or constant.ndim > _RANK:
        return False
    shape = (1,) * (_RANK - constant.ndim) + constant.shape
    elsewhere = [n for axis, n in enumerate(shape) if axis != _CHANNELS]
    return elsewhere == [1] * (_RANK - 1)


def _scale_before(transpose: _Node) -> int:
    """Move the scaling behind a Transpose before it."""
    order = _order(transpose)
    steps = list(_scaling_behind(transpose))
    given, source = transpose, transpose.input_value(0)
    for step in steps:
        constant = _constant_before(_other(step, given), source, order)
        inputs = [constant.output(0), source]
        if step.input_value(0).get_node() == given:
            inputs.reverse()
        given, source = step, _same_kind(step, inputs).output(0)
    moved = _operations().transpose(source, np.array(order, np.int64))
    _replace(steps[-1].output(0), moved)
    return 1


def _constant_before(planes: _Node, value: Any, order: list[int]) -> _Node:
    """Return a constant of planes in the order of axes before a Transpose.

    With the channels last it is repeated along a row: an inner loop over 3 numbers takes three times as long.
    """
    constant = _values(planes)
    if constant is None or constant.size == 1:
        return planes
    back = [order.index(axis) for axis in range(_RANK)]
    moved = constant.reshape((1, -1, 1, 1)).transpose(back)
    width = value.get_partial_shape()[_RANK - 2]
    if moved.shape[-1] > 1 and width.is_static:
        moved = np.repeat(moved, width.get_length(), axis=_RANK - 2)
    return _operations().constant(moved)


def _permutations(graph: _Graph) -> Iterator[_Node]:
    """Yield each Gather that gives all channels of maps in another order."""
    for node in graph.get_ordered_ops():
        if node.get_type_name() != "Gather":
            continue
        indices, axis = (_values(_source(node, place)) for place in (1, 2))
        shape = node.get_output_partial_shape(0)
        if indices is None or axis is None or indices.ndim != 1:
            continue
        if shape.rank.is_dynamic or len(shape) != _RANK or axis != _CHANNELS:
            continue
        if sorted(indices.tolist()) == list(range(len(indices))):
            yield node


def _permute_last(node: _Node) -> int:
    """Select along the last axis, and split there if a split into halves follows.

    The Transposes around cost nothing next to operations that read and write the channels last.
    """
    operations = _operations()
    pixels = operations.transpose(
        node.input_value(0), np.array(_CHANNELS_LAST, np.int64)
    )
    last = operations.constant(np.int64(_RANK - 1))
    chosen = operations.gather(pixels, node.input_value(1), last)
    readers = _readers(node)
    if len(readers) == 1 and _splits_channels(readers[0]):
        (split,) = readers
        parts = operations.variadic_split(chosen, last, split.input_value(2))
        for old, new in zip(split.outputs(), parts.outputs(), strict=True):
            _replace(old, _as_planes(new))
        return 1
    _replace(node.output(0), _as_planes(chosen.output(0)))
    return 1


def _splits_channels(node: _Node) -> bool:
    if node.get_type_name() != "VariadicSplit":
        return False
    axis = _values(_source(node, 1))
    return axis is not None and axis.tolist() in (_CHANNELS, [_CHANNELS])


def _as_planes(value: Any) -> _Node:
    return _operations().transpose(value, np.array(_PLANES, np.int64))


def _replace(old: Any, new: _Node) -> None:
    """Let all readers of a value read a new node, which takes the name of a node of one value."""
    names = old.get_names()
    for target in old.get_target_inputs():
        target.replace_source_output(new.output(0))
    new.output(0).set_names(names)
    node = old.get_node()
    if len(node.outputs()) == 1:
        name = node.get_friendly_name()
        node.set_friendly_name(f"{name}.replaced")
        new.set_friendly_name(name)


def _same_kind(node: _Node, inputs: list[Any]) -> _Node:
    """Return an operation of a node's kind on other inputs."""
    kinds: dict[str, Callable[..., _Node]] = {
        "Add": _operations().add,
        "Divide": _operations().divide,
        "Multiply": _operations().multiply,
        "Subtract": _operations().subtract,
    }
    made = kinds[node.get_type_name()](*inputs)
    made.set_friendly_name(f"{node.get_friendly_name()}.pixels")
    return made


def _order(node: _Node) -> list[int]:
    """Return the axes of a Transpose; empty for other nodes, and for an order that is no constant."""
    if node.get_type_name() != "Transpose":
        return []
    values = _values(_source(node, 1))
    return [] if values is None else values.tolist()


def _other(node: _Node, given: _Node) -> _Node:
    """Return the source of a node of two inputs that is not this one."""
    first = _source(node, 0)
    return _source(node, 1) if first == given else first


def _source(node: _Node, place: int) -> _Node:
    return node.input_value(place).get_node()


def _readers(node: _Node) -> list[_Node]:
    targets = node.output(0).get_target_inputs()
    return [target.get_node() for target in targets]


def _values(node: _Node) -> npt.NDArray[Any] | None:
    """Return the values of a constant; None for another node."""
    if node.get_type_name() != "Constant":
        return None
    return np.asarray(node.get_data())


def _operations() -> Any:
    """Return OpenVINO's operations."""
    return import_openvino().opset13
