"""Fold batch normalisation into the convolutions of a traced network, and values that follow from constants, in float64."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, fx

__all__ = ["CONVOLUTIONS", "Node", "fold_batch_norms"]

_aten: Any = torch.ops.aten
Node = Any
"""An `fx.Node`; torch types its arguments as a union of all types."""
CONVOLUTIONS = {
    _aten.conv1d.default,
    _aten.conv1d.padding,
    _aten.conv2d.default,
    _aten.conv2d.padding,
}
_TRANSPOSED = _aten.conv_transpose2d.input
_GROUPS = 6
"""Position of the groups among the arguments of a transposed convolution."""
_BATCH_NORM = _aten._native_batch_norm_legit_no_training.default


def fold_batch_norms(traced: fx.GraphModule) -> fx.GraphModule:
    """Return the network with batch normalisations and constants folded and unused operations and tensors removed.

    An elementwise operation on constants, such as the softplus of a parameter, becomes its result: in a network of
    reduced precision it is rounded once. A normalisation is folded into the convolution before it if nothing else reads that convolution; otherwise it becomes
    a product and a sum. Folded weights are computed in float64 and stored in float32.

    Args:
        traced: the network; it is modified.
    """
    return _Folding(traced).run()


class _Folding:
    """One pass over the constants and batch normalisations of a traced network."""

    def __init__(self, traced: fx.GraphModule) -> None:
        self.module, self.graph = traced, traced.graph
        # The tracer's checks of input sizes; they change no values.
        for node in self.graph.find_nodes(op="call_module"):
            self.graph.erase_node(node)
        self.graph.eliminate_dead_code()

    def run(self) -> fx.GraphModule:
        for node in list(self.graph.nodes):
            if self._computes_constant(node):
                self._replace_by_result(node)
        for node in self.graph.find_nodes(
            op="call_function", target=_BATCH_NORM
        ):
            self._fold(node)
        self.graph.eliminate_dead_code()
        # A new module holds only the tensors that the graph reads.
        return fx.GraphModule(self.module, self.graph)

    def _computes_constant(self, node: Node) -> bool:
        """Return whether a node is an elementwise operation on floating point constants."""
        operands = node.all_input_nodes
        if torch.Tag.pointwise not in getattr(node.target, "tags", ()):
            return False
        if not operands or not all(map(_is_constant, operands)):
            return False
        values = [attrgetter(each.target)(self.module) for each in operands]
        return all(each.is_floating_point() for each in values)

    def _replace_by_result(self, node: Node) -> None:
        operands = node.all_input_nodes
        values = {operand: self._value(operand) for operand in operands}
        args, kwargs = fx.map_arg((node.args, node.kwargs), values.get)
        with self.graph.inserting_before(node):
            result = self._constant(
                node.target(*args, **kwargs), operands[0].target
            )
        node.replace_all_uses_with(result)

    def _fold(self, node: Node) -> None:
        (before, *constants), (result,) = node.args[:5], node.users
        values = [self._value(constant) for constant in constants]
        scale, shift = _affine(*values, eps=node.args[6])
        if self._foldable(before):
            self._into_convolution(before, scale, shift)
            result.replace_all_uses_with(before)
        else:
            affine = self._as_product(node, result, scale, shift)
            result.replace_all_uses_with(affine)

    def _into_convolution(
        self, node: Node, scale: Tensor, shift: Tensor
    ) -> None:
        weight = node.args[1]
        bias = self._value(node.args[2] if len(node.args) > 2 else None)
        kernel = self._value(weight)
        # A transposed convolution has its input channels first.
        ahead = [1] if node.target is _TRANSPOSED else []
        column = [*ahead, -1, *[1] * (kernel.ndim - 1 - len(ahead))]
        folded = kernel * scale.reshape(column)
        offset = shift if bias is None else shift + bias * scale
        with self.graph.inserting_before(node):
            constants = (
                self._constant(folded, weight.target),
                self._constant(offset, f"{weight.target}_bias"),
            )
        node.args = (node.args[0], *constants, *node.args[3:])

    def _as_product(
        self, node: Node, result: Node, scale: Tensor, shift: Tensor
    ) -> Node:
        mean = node.args[3]
        column = (-1, *[1] * (node.args[0].meta["val"].ndim - 2))
        with self.graph.inserting_before(node):
            factor = self._constant(
                scale.reshape(column), f"{mean.target}_scale"
            )
            offset = self._constant(
                shift.reshape(column), f"{mean.target}_shift"
            )
            scaled = self.graph.call_function(
                _aten.mul.Tensor, (node.args[0], factor)
            )
            moved = self.graph.call_function(_aten.add.Tensor, (scaled, offset))
        scaled.meta, moved.meta = dict(result.meta), dict(result.meta)
        return moved

    def _foldable(self, node: Node) -> bool:
        """Return whether a node is a convolution with constant weights that only the normalisation reads."""
        if len(node.users) != 1 or not _is_convolution(node):
            return False
        return all(
            weight is None or _is_constant(weight) for weight in node.args[1:3]
        )

    def _value(self, node: Node | None) -> Any:
        if node is None:
            return None
        return attrgetter(node.target)(self.module).detach().double()

    def _constant(self, values: Tensor, path: str) -> Node:
        """Add a constant under a new name, because other nodes may read the tensor of this path."""
        path, name = path.rpartition(".")[::2]
        holder = self.module.get_submodule(path)
        name = next(free for free in _names(name) if not hasattr(holder, free))
        holder.register_buffer(name, values.to(torch.float32))
        return self.graph.get_attr(f"{path}.{name}".lstrip("."))


def _affine(
    gain: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    *,
    eps: float,
) -> tuple[Tensor, Tensor]:
    """Return a batch normalisation as scale and shift of each channel."""
    scale = (variance + eps).rsqrt()
    scale = scale if gain is None else scale * gain
    return scale, -mean * scale if bias is None else bias - mean * scale


def _is_constant(node: Node) -> bool:
    return isinstance(node, fx.Node) and node.op == "get_attr"


def _is_convolution(node: Node) -> bool:
    """Return whether a node is a convolution, or a transposed one without groups."""
    if node.target is _TRANSPOSED:
        return node.args[_GROUPS:][:1] in {(), (1,)}
    return node.target in CONVOLUTIONS


def _names(name: str) -> Iterator[str]:
    yield f"{name}_folded"
    yield from (f"{name}_folded{number}" for number in range(2, 1 << 20))
