r"""A sequence of invertible blocks.

.. math:: f = f_n \circ \dots \circ f_1, \qquad \log\lvert\det J_f\rvert = \sum_i \log\lvert\det J_{f_i}\rvert

Parameters have the names of FrEIA 0.2's `SequenceINN`:
`module_list.<i>.<name>`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from anomedge.components.flows.invertible import (
    InvertibleModule,
    Shape,
    tensors,
)
from anomedge.components.scalars import sizes, whole
from anomedge.errors import InputError

__all__ = ["SequenceINN"]


class SequenceINN(InvertibleModule):
    """A chain of invertible blocks with one input and one output each.

    Args:
        *dims: input shape without the batch: `SequenceINN(8)` or
            `SequenceINN(8, 16, 16)`.
        force_tuple_output: return the tensor in a tuple of one.

    Attributes:
        shapes: the input shape, then the output shape of each block.
        conditions: index of the condition of each block, or None.

    Raises:
        InputError: an invalid shape; a block or a condition that does not fit.

    Example:
        >>> import torch
        >>> from anomedge.components.flows.all_in_one import AllInOneBlock
        >>> _ = torch.manual_seed(0)
        >>> flow = SequenceINN(4)
        >>> for _ in range(2):
        ...     flow.append(AllInOneBlock, cond=0, cond_shape=(3,), subnet_constructor=nn.Linear)
        >>> x, c = torch.ones(2, 4), torch.ones(2, 3)
        >>> z, log_jacobian = flow(x, [c])
        >>> again, _ = flow(z, [c], rev=True)
        >>> len(flow), z.shape, log_jacobian.shape, torch.allclose(again, x, atol=1e-6)
        (2, torch.Size([2, 4]), torch.Size([2]), True)
    """

    def __init__(self, *dims: int, force_tuple_output: bool = False) -> None:
        shape = sizes(dims)
        if not shape:
            raise InputError(
                f"got dims {dims}; expected sizes without the batch, such as SequenceINN(8, 16, 16)"
            )
        super().__init__([shape])
        self.shapes: list[tuple[int, ...]] = [shape]
        self.conditions: list[int | None] = []
        self.module_list = nn.ModuleList()
        self.force_tuple_output = force_tuple_output

    def append(
        self,
        module_class: Callable[..., InvertibleModule] | InvertibleModule,
        cond: int | None = None,
        cond_shape: Shape | None = None,
        **kwargs: Any,
    ) -> None:
        """Add a block at the end.

        Args:
            module_class: called as module_class(dims_in, **kwargs), or a block
                instance; ours or a module of FrEIA.
            cond: index of the block's condition in those of `forward`; None for
                none.
            cond_shape: the shape of that condition, without the batch.
            **kwargs: arguments of the block.
        """
        dims_in = [self.shapes[-1]]
        ready = isinstance(module_class, nn.Module)
        cond = None if cond is None else whole(cond, "cond", least=None)
        if cond is not None and (
            cond < 0 or (cond_shape is None and not ready)
        ):
            raise InputError(
                f"got cond={cond}, cond_shape={cond_shape}; expected the number of a condition and its shape"
            )
        if ready and kwargs:
            raise InputError(
                f"got arguments {sorted(kwargs)} for a block that is made; expected none, or its class"
            )
        if cond is not None:
            kwargs["dims_c"] = [cond_shape]
        module = module_class if ready else module_class(dims_in, **kwargs)
        self._add(module, cond, dims_in)

    def _add(
        self, module: Any, cond: int | None, dims_in: list[tuple[int, ...]]
    ) -> None:
        if missing := [
            name
            for name in ("dims_in", "dims_c", "output_dims")
            if not hasattr(module, name)
        ]:
            raise InputError(
                f"got a {type(module).__name__} without {', '.join(missing)}; expected an InvertibleModule of ours or "
                "of FrEIA"
            )
        takes = _shapes(module.dims_in)
        if takes != dims_in and not _outputs_shapes(module, takes, dims_in):
            raise InputError(
                f"got a block for {takes}; expected one for {dims_in}, the output of the sequence so far"
            )
        if len(module.dims_c) != (cond is not None):
            raise InputError(
                f"got cond={cond} for a block of {len(module.dims_c)} conditions; expected one for one"
            )
        dims_out = module.output_dims(dims_in)
        if len(dims_out) != 1:
            raise InputError(
                f"got a block of {len(dims_out)} outputs; expected one: a sequence does not branch"
            )
        self.module_list.append(module)
        self.conditions.append(cond)
        self.shapes.append(tuple(dims_out[0]))

    def forward(
        self,
        x_or_z: Tensor | Sequence[Tensor],
        c: Sequence[Tensor] | None = None,
        rev: bool = False,
        jac: bool = True,
    ) -> tuple[Tensor | tuple[Tensor, ...], Tensor]:
        """Apply all blocks to x (B, ...), or with `rev` their inverses in reverse order.

        Args:
            x_or_z: the input or the output, as a tensor or in a list.
            c: the conditions that blocks refer to by index.
            rev: apply the inverse.
            jac: passed to the blocks.

        Returns:
            The tensor, and the log-Jacobian (B,) summed over the blocks.
        """
        outputs = tensors(x_or_z, "an input")
        conditions = tensors(c, "a condition")
        if len(outputs) != 1:
            raise InputError(f"got {len(outputs)} inputs; expected one tensor")
        total: Tensor | float = 0
        steps = list(zip(self.module_list, self.conditions, strict=True))
        for module, cond in reversed(steps) if rev else steps:
            given = {} if cond is None else {"c": [_taken(conditions, cond)]}
            produced, own = module(outputs, rev=rev, jac=jac, **given)
            # A nested sequence may return a tensor instead of a tuple.
            outputs = tensors(produced, "an output")
            total = total + own
        # Some blocks return 0 or one number for all items.
        if isinstance(total, Tensor) and total.ndim:
            log_jacobian = total
        else:
            log_jacobian = outputs[0].new_zeros(outputs[0].shape[:1]) + total
        return outputs if self.force_tuple_output else outputs[0], log_jacobian

    def output_dims(self, input_dims: list[Any] | None = None) -> list[Any]:
        """Return the output shape of the last block."""
        if (
            input_dims is not None
            and [tuple(shape) for shape in input_dims] != self.shapes[:1]
        ):
            raise InputError(
                f"got input_dims={input_dims}; expected {self.shapes[:1]}, as constructed"
            )
        return [self.shapes[-1]]

    def __getitem__(self, item: int) -> nn.Module:
        return self.module_list[item]

    def __len__(self) -> int:
        return len(self.module_list)

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self.module_list)


def _shapes(given: Sequence[Any]) -> list[tuple[int, ...]]:
    """Convert a list of shapes to tuples; also accept a single shape, the dims_in of FrEIA's ActNorm and IResNetLayer."""
    flat = sizes(given)
    return [flat] if flat else [tuple(shape) for shape in given]


def _outputs_shapes(
    module: Any, shapes: list[tuple[int, ...]], dims_in: list[tuple[int, ...]]
) -> bool:
    """Whether a block outputs these shapes for inputs of shapes dims_in.

    FrEIA's upsamplings are inverted downsamplings; their dims_in attribute is
    the shape of their output.
    """
    try:
        return _shapes(module.output_dims(dims_in)) == shapes
    except (AssertionError, InputError, ValueError):
        return False


def _taken(conditions: Sequence[Tensor], cond: int) -> Tensor:
    """Return the condition with an index."""
    if cond >= len(conditions):
        raise InputError(
            f"got {len(conditions)} conditions; expected at least {cond + 1}: a block takes number {cond}"
        )
    return conditions[cond]
