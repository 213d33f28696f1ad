"""The backbone in float16 between float32 ends: scaled images are cast on the way in, feature maps on the way out.

Everything before and behind it stays in float32. The precision is in the tensors' types, so no runtime and no builder has
to be told. Batch normalisation goes into the convolutions in float64 first: its variances and reciprocals never become
float16, and each folded weight is rounded once.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from dataclasses import replace
from operator import attrgetter, getitem
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate

from anomedge.errors import ExportError
from anomedge.pipelines.model import Model

__all__ = [
    "IN_FLOAT32",
    "HalfBackbone",
    "folded_backbone",
    "halved",
    "layer_of",
]

_aten: Any = torch.ops.aten
Node = Any
"""An `fx.Node`; torch types its arguments as a union of everything."""
_CONVOLUTIONS = {
    _aten.conv1d.default,
    _aten.conv1d.padding,
    _aten.conv2d.default,
    _aten.conv2d.padding,
}
_NORMALISATION = _aten._native_batch_norm_legit_no_training.default
# A sum of thousands of numbers, or of their squares, may leave float16's range before it is divided or its root is taken.
_SUMS = {
    _aten._native_batch_norm_legit.no_stats,
    _aten.adaptive_avg_pool2d.default,
    _aten.group_norm.default,
    _aten.instance_norm.default,
    _aten.linalg_vector_norm.default,
    _aten.mean.default,
    _aten.mean.dim,
    _aten.native_group_norm.default,
    _aten.std.correction,
    _aten.std_mean.correction,
    _aten.sum.default,
    _aten.sum.dim_IntList,
    _aten.var.correction,
    _aten.var_mean.correction,
}
IN_FLOAT32 = _SUMS | {_aten.layer_norm.default, _aten.native_layer_norm.default}
"""Operators whose numbers, such as the epsilon of a norm, stay what they are: every runtime takes them as attributes."""


class HalfBackbone(nn.Module):
    """A copy of a float32 backbone that computes in float16, float32 (B, 3, H, W) to {layer: float32 (B, C, h, w)}.

    Args:
        graph: of `folded_backbone`; it is copied, never changed.
    """

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__()
        self.graph = copy.deepcopy(graph)
        nodes: list[Node] = list(self.graph.graph.nodes)
        for node in nodes:
            if node.target in _CONVOLUTIONS and node.args[1].op == "get_attr":
                kernel = attrgetter(node.args[1].target)(self.graph)
                kernel.copy_(_with_sums_kept(kernel.detach()))
        self.graph.half()
        for node in nodes:
            node.args, node.kwargs = map_aggregate(
                (node.args, node.kwargs), _half_type
            )
            if node.target in _SUMS:
                _sum_in_float32(self.graph, node)
        self.graph.recompile()

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """As the class says."""
        return {
            layer: x.to(torch.float32)
            for layer, x in self.graph(images.to(torch.float16)).items()
        }


def halved(model: Model, graph: fx.GraphModule) -> Model:
    """The model on a backbone in float16; the given model stays as it is, and the two share every other tensor.

    Args:
        model: the fitted detector.
        graph: of its `folded_backbone`.
    """
    return replace(
        model, pipeline=model.pipeline.with_extractor(HalfBackbone(graph))
    )


def folded_backbone(model: Model, batch: int | None) -> fx.GraphModule:
    """The model's backbone in float32 as a graph of functions, batch normalisation folded, nothing in it unused.

    Args:
        model: the fitted detector, which stays as it is; tensors that nothing was folded into are shared.
        batch: the one size that the graph is for, or None for any.

    Raises:
        ExportError: torch cannot trace the backbone.
    """
    example = torch.zeros(batch or 2, 3, *model.geometry.image)
    shapes = (
        None if batch else ({0: torch.export.Dim("batch", min=1, max=4096)},)
    )
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(
                model.pipeline.extractor,
                (example,),
                dynamic_shapes=shapes,
                strict=False,
            )
            traced = program.run_decompositions({}).module()
    except Exception as error:
        reason = " ".join(str(error).split())[:600]
        raise ExportError(
            f"torch could not trace the backbone: {reason}; use another backbone or layer"
        ) from error
    finally:
        model.pipeline.extractor.eval()  # see `map_sizes`
    return _Folding(traced).run()


def layer_of(node: Node) -> str:
    """The path of the module that a node is from, as the detector has it; the node's own name where that is unknown."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    return str(stack[-1][0]) if stack and stack[-1][0] else node.name


class _Folding:
    """One walk over a traced backbone's batch normalisations."""

    def __init__(self, traced: fx.GraphModule) -> None:
        self.module, self.graph = traced, traced.graph
        for node in self.graph.find_nodes(op="call_module"):
            self.graph.erase_node(
                node
            )  # checks of the input's sizes, which change nothing
        self.graph.eliminate_dead_code()

    def run(self) -> fx.GraphModule:
        for node in self.graph.find_nodes(
            op="call_function", target=_NORMALISATION
        ):
            self._fold(node)
        self.graph.eliminate_dead_code()
        return fx.GraphModule(
            self.module, self.graph
        )  # with the tensors that are still read

    def _fold(self, node: Node) -> None:
        """Into the convolution before it, where that feeds nothing else; else as a product and a sum."""
        (before, *constants), (result,) = node.args[:5], node.users
        scale, shift = _affine(
            *(self._value(given) for given in constants), eps=node.args[6]
        )
        if self._foldable(before):
            self._into_convolution(before, scale, shift)
            result.replace_all_uses_with(before)
        else:
            result.replace_all_uses_with(
                self._as_product(node, result, scale, shift)
            )

    def _into_convolution(
        self, node: Node, scale: Tensor, shift: Tensor
    ) -> None:
        weight, bias = (
            node.args[1],
            self._value(node.args[2] if len(node.args) > 2 else None),
        )
        kernel = self._value(weight)
        with self.graph.inserting_before(node):
            folded = (
                self._constant(
                    kernel * scale.reshape(-1, *[1] * (kernel.ndim - 1)),
                    weight.target,
                ),
                self._constant(
                    shift if bias is None else shift + bias * scale,
                    f"{weight.target}_bias",
                ),
            )
        node.args = (node.args[0], *folded, *node.args[3:])

    def _as_product(
        self, node: Node, result: Node, scale: Tensor, shift: Tensor
    ) -> Node:
        mean, column = (
            node.args[3],
            (-1, *[1] * (node.args[0].meta["val"].ndim - 2)),
        )
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
        weights = [given for given in node.args[1:3] if given is not None]
        constant = all(
            isinstance(given, fx.Node) and given.op == "get_attr"
            for given in weights
        )
        return (
            node.target in _CONVOLUTIONS and len(node.users) == 1 and constant
        )

    def _value(self, node: Node | None) -> Any:
        return (
            None
            if node is None
            else attrgetter(node.target)(self.module).detach().double()
        )

    def _constant(self, values: Tensor, path: str) -> Node:
        """A new constant of a name of its own: what it replaces may have other readers."""
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
    """A batch normalisation as scale and shift of each channel."""
    scale = (variance + eps).rsqrt()
    scale = scale if gain is None else scale * gain
    return scale, -mean * scale if bias is None else bias - mean * scale


def _names(name: str) -> Iterator[str]:
    yield f"{name}_folded"
    yield from (f"{name}_folded{number}" for number in range(2, 1 << 20))


def _with_sums_kept(kernel: Tensor) -> Tensor:
    """A kernel (O, I, ...) in float16's numbers, each of its (...) with the sum it had: what one place loses, the next gains.

    Kernels of depthwise convolutions often take differences; their sum is nearly 0, and what of it were lost in rounding
    would be multiplied with the whole level of the picture. Largest numbers go first, so the smallest end the account.

    >>> _with_sums_kept(torch.tensor([[[2049.0, -1025.1, -1023.9]]])).tolist()
    [[[2048.0, -1024.0, -1024.0]]]
    """
    places = kernel.flatten(2).double()
    order = places.abs().argsort(dim=2, descending=True, stable=True)
    ordered = places.gather(2, order)
    owed = torch.zeros_like(ordered[..., 0])
    for place in range(ordered.shape[2]):
        wanted = ordered[..., place] + owed
        ordered[..., place] = wanted.half().double()
        owed = wanted - ordered[..., place]
    return places.scatter(2, order, ordered).reshape(kernel.shape).to(kernel)


def _sum_in_float32(module: fx.GraphModule, node: Node) -> None:
    """Widen all that a node reads, narrow all that it gives."""
    graph = module.graph

    def wide(given: Node) -> Node:
        value = (
            attrgetter(given.target)(module)
            if given.op == "get_attr"
            else given.meta.get("val")
        )
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return given
        with graph.inserting_before(node):
            return graph.call_function(_aten.to.dtype, (given, torch.float32))

    node.args, node.kwargs = (
        fx.map_arg(node.args, wide),
        fx.map_arg(node.kwargs, wide),
    )
    for result in [user for user in node.users if user.target is getitem] or [
        node
    ]:
        with graph.inserting_after(result):
            narrow = graph.call_function(
                _aten.to.dtype, (result, torch.float16)
            )
        result.replace_all_uses_with(
            narrow,
            delete_user_cb=lambda user, narrow=narrow: user is not narrow,
        )


def _half_type(argument: Any) -> Any:
    return torch.float16 if argument is torch.float32 else argument
