r"""Replace the resizes of a traced module by constant matrices and selections, and `einsum` by products.

Other people's modules call `F.interpolate`, which becomes the operator `Resize`; runtimes compute it differently. Sizes
are static, and every mode but the maximum is linear and separable, :math:`y = A\,x\,B^\top`. The matrices are torch's
own results on unit vectors, so they have torch's weights, whatever the mode, the scale factor and `align_corners` are.
A nearest neighbour is a selection of lines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram

from anomedge.components.buffers import plain_state

__all__ = ["Lines", "Resized", "lowered"]

_aten: Any = torch.ops.aten
_Node = Any

_PLANES = {
    _aten.upsample_nearest2d.vec,
    _aten._upsample_nearest_exact2d.vec,
    _aten.upsample_bilinear2d.vec,
    _aten.upsample_bicubic2d.vec,
    _aten._upsample_bilinear2d_aa.vec,
    _aten._upsample_bicubic2d_aa.vec,
}
_SEQUENCES = {
    _aten.upsample_nearest1d.vec,
    _aten._upsample_nearest_exact1d.vec,
    _aten.upsample_linear1d.vec,
}
_POOLS = {
    _aten.adaptive_avg_pool1d.default,
    _aten.adaptive_avg_pool2d.default,
}
_EINSUM = _aten.einsum.default


class Lines(nn.Module):
    """Apply a matrix (n_out, n_in) to one dimension of x; a matrix that selects lines becomes a selection.

    Args:
        matrix: float32.
        dim: -1 or -2.
    """

    @plain_state
    def __init__(self, matrix: Tensor, dim: int) -> None:
        super().__init__()
        self.dim = dim
        ones = (matrix == 1).sum(dim=1)
        self.selects = bool(
            (ones == 1).all() and (matrix != 0).sum() == len(matrix)
        )
        constant = matrix.argmax(dim=1) if self.selects else matrix
        if dim == -1 and not self.selects:
            constant = constant.T
        self.register_buffer("constant", constant.contiguous().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Return x with n_out lines."""
        constant = self.get_buffer("constant")
        if self.selects:
            return x.index_select(self.dim + x.ndim, constant)
        if self.dim == -1:
            return torch.matmul(x, constant)
        return torch.matmul(constant, x)


class Resized(nn.Sequential):
    """Apply lines after lines, in float32; the result has the dtype of the input."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the resized x."""
        wide = x if x.dtype == torch.float32 else x.to(torch.float32)
        for lines in self:
            wide = lines(wide)
        return wide if x.dtype == torch.float32 else wide.to(x.dtype)


def lowered(
    program: ExportedProgram,
    export: Callable[[nn.Module], ExportedProgram],
) -> ExportedProgram:
    """Return a program without resizes and `einsum`; the same one if there are none.

    Args:
        program: the traced module.
        export: traces a module again, with the same example and dynamic shapes.
    """
    if any(map(_is_resize, program.graph.nodes)):
        module = program.module()
        found = [node for node in module.graph.nodes if _is_resize(node)]
        for place, node in enumerate(found):
            _replace(module, node, f"resize{place}")
        module.recompile()
        program = export(module)
    if any(node.target is _EINSUM for node in program.graph.nodes):
        products = torch.export.default_decompositions()[_EINSUM]
        program = program.run_decompositions({_EINSUM: products})
    return program


def _is_resize(node: _Node) -> bool:
    """Return whether a node is a resize of floating-point data with sizes that are known."""
    if node.op != "call_function":
        return False
    if node.target not in _PLANES | _SEQUENCES | _POOLS:
        return False
    x = node.args[0].meta["val"]
    sizes = [*_sizes(node.args[0]), *_sizes(node)]
    if not x.is_floating_point() or not all(type(n) is int for n in sizes):
        return False
    return node.target not in _POOLS or not _divides(node)


def _divides(node: _Node) -> bool:
    """Return whether an adaptive pool has equal windows, as an ordinary pool."""
    pairs = zip(_sizes(node.args[0]), _sizes(node), strict=True)
    return all(n_in % n_out == 0 for n_in, n_out in pairs)


def _sizes(node: _Node) -> list[Any]:
    """Return the resized dimensions of a node's value."""
    return list(node.meta["val"].shape[2:])


def _replace(module: fx.GraphModule, node: _Node, name: str) -> None:
    module.add_submodule(name, _resized(node))
    with module.graph.inserting_before(node):
        replacement = module.graph.call_module(name, (node.args[0],))
    node.replace_all_uses_with(replacement)
    module.graph.erase_node(node)


def _resized(node: _Node) -> Resized:
    """Return the same resize as matrices, in the cheaper order."""
    if len(_sizes(node)) == 1:
        return Resized(Lines(_matrix(node, 0), -1))
    rows, columns = (_matrix(node, axis) for axis in (0, 1))
    (h, n_rows), (w, n_columns) = rows.shape, columns.shape
    steps = [Lines(rows, -2), Lines(columns, -1)]
    if h * n_columns * (n_rows + w) > n_rows * w * (n_columns + h):
        steps.reverse()
    return Resized(*steps)


def _matrix(node: _Node, axis: int) -> Tensor:
    """Return torch's weights (n_out, n_in) along an axis: its result on unit vectors, which keep their other axis."""
    n_in, n_out = _sizes(node.args[0])[axis], _sizes(node)[axis]
    units = torch.eye(n_in)
    if len(_sizes(node)) == 1:
        return _unit_results(node, units[:, None], [n_out], axis)[:, 0].T
    size = [n_out, n_in] if axis == 0 else [n_in, n_out]
    weights = _unit_results(node, units[None, None], size, axis)[0, 0]
    return weights if axis == 0 else weights.T


def _unit_results(
    node: _Node, units: Tensor, size: list[int], axis: int
) -> Tensor:
    if node.target in _POOLS:
        return node.target(units, size)  # type: ignore[no-any-return]
    _, stated, *options = node.args
    *options, scales = options
    if scales is not None:
        scales = [
            scale if place == axis else 1.0
            for place, scale in enumerate(scales)
        ]
    stated = None if stated is None else size
    result: Tensor = node.target(units, stated, *options, scales)
    return result
