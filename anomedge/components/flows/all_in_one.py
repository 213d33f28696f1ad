r"""Affine coupling block with global scale and channel permutation.

.. math:: y = W \big(\Psi(s_\mathrm{global}) \odot
          \mathrm{Coupling}(W^{-1} x) + t_\mathrm{global}\big),
          \qquad W = R V

:math:`R` is a fixed permutation, or a rotation drawn from SO(N); :math:`V` is
an optional product of learned reflections; :math:`W^{-1}` before the coupling
is optional. The coupling keeps the first half of the channels and transforms
the second half with a subnet of the first half and the conditions c
(`coupling`). The global scale :math:`\Psi` is defined in `global_scale`.

.. math:: \log\lvert\det J\rvert = \sum \alpha \tanh s
          + P \sum_{i=1}^{C} \log \Psi(s_{\mathrm{global}, i})

with P pixels. A GIN block has no global scale and log-Jacobian 0.

Sources: Ardizzone et al. 2019, arXiv:1907.02392; Dinh et al. 2017,
arXiv:1605.08803; Kingma and Dhariwal 2018, arXiv:1807.03039; Putzky and
Welling 2019, arXiv:1911.10914 (inverse permutation before the block).

FrEIA's published text and code differ; this block follows the code. The text
has :math:`u_1 = x_1 \odot \exp(\alpha \tanh s(x_2)) + t(x_2)`,
:math:`u_2 = x_2` and :math:`y = V R\, \Psi(s_\mathrm{global}) \odot
\mathrm{Coupling}(R^{-1} V^{-1} x) + t_\mathrm{global}`. The code transforms
:math:`x_2` given :math:`x_1`, scales the output of the subnet by 0.1,
multiplies :math:`R` by the reflections from the right, and adds
:math:`t_\mathrm{global}` before the permutation.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from anomedge.components.buffers import checked_dtype, plain_state
from anomedge.components.flows.arguments import (
    checked_clamp,
    checked_constructor,
    checked_dims,
)
from anomedge.components.flows.coupling import affine_coupling, coefficients
from anomedge.components.flows.global_scale import (
    GLOBAL_SCALES,
    initial_parameter,
)
from anomedge.components.flows.invertible import (
    InvertibleModule,
    Shape,
    tensors,
)
from anomedge.components.flows.permutation import (
    mixed,
    random_permutation,
    random_rotation,
    reflected,
)
from anomedge.components.scalars import real, whole
from anomedge.errors import InputError

__all__ = ["AllInOneBlock"]


class AllInOneBlock(InvertibleModule):
    """Coupling, global scale and offset, and permutation of C channels.

    Parameters and buffers have the names of FrEIA 0.2 and anomalib 2:
    `global_scale`, `global_offset`, `subnet.*`, and `w_perm`, `w_perm_inv`, or
    with learned reflections `w_0`, `vk_householder`.

    With learned reflections, W is computed and cached in a buffer when the
    block enters eval mode, is loaded, moved or copied. A block in eval mode, or
    with a `vk_householder` that needs no gradient, uses the cached W and gives
    the vectors no gradient. Later in-place changes of the vectors are detected,
    except changes through `.data` and in a compiled block: call `eval()` again.

    Args:
        dims_in: shape of the input in a list: [(C,)] of vectors, or
            [(C, H, W)]; 0 to 3 spatial axes, C >= 2. Spatial sizes may differ
            from call to call.
        dims_c: shapes of the conditions, with the spatial sizes of the input;
            None or [] for none.
        subnet_constructor: f(channels_in, channels_out) returns the subnet. It
            maps (C + 1) // 2 channels and those of the conditions to
            2 (C // 2) channels of the same spatial size.
        affine_clamping: alpha, >= 0; each coupling scales by at most
            exp(alpha).
        gin_block: preserve volume.
        global_affine_init: initial Psi(s_global); positive, below 10 for
            SIGMOID.
        global_affine_type: Psi; "SIGMOID", "SOFTPLUS" or "EXP".
        permute_soft: draw R from SO(C) rather than from the permutations.
        learned_householder_permutation: number of reflections in V; 0 for none.
        reverse_permutation: apply the inverse permutation before the coupling.

    Raises:
        InputError: invalid shapes, options, inputs or conditions, or a subnet
            that returns a wrong shape.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> block = AllInOneBlock([(4,)], subnet_constructor=nn.Linear)
        >>> x = torch.arange(8.0).reshape(2, 4)
        >>> (z,), log_jacobian = block([x])
        >>> (again,), back = block([z], rev=True)
        >>> torch.allclose(again, x, atol=1e-5)
        True
        >>> torch.allclose(back, -log_jacobian)
        True
    """

    global_scale: Tensor
    global_offset: Tensor
    vk_householder: nn.Parameter
    w_0: Tensor
    w_perm: Tensor
    w_perm_inv: Tensor

    @plain_state
    def __init__(
        self,
        dims_in: Iterable[Shape],
        dims_c: Iterable[Shape] | None = None,
        subnet_constructor: Callable[[int, int], nn.Module] | None = None,
        affine_clamping: float = 2.0,
        gin_block: bool = False,
        global_affine_init: float = 1.0,
        global_affine_type: str = "SOFTPLUS",
        permute_soft: bool = False,
        learned_householder_permutation: int = 0,
        reverse_permutation: bool = False,
    ) -> None:
        super().__init__(dims_in, dims_c)
        shape, *conditions = checked_dims(self.dims_in, self.dims_c)
        scale = real(global_affine_init, "global_affine_init")
        start = initial_parameter(global_affine_type, scale)
        channels = shape[0]
        self.in_channels = channels
        self.input_rank = len(shape) - 1
        self.splits = [channels - channels // 2, channels // 2]
        self.condition_channels = sum(condition[0] for condition in conditions)
        self.conditional = bool(conditions)
        self.clamp = checked_clamp(affine_clamping)
        self.GIN = bool(gin_block)
        self.global_affine_type = global_affine_type
        self.householder = whole(
            learned_householder_permutation,
            "learned_householder_permutation",
            least=0,
        )
        self.reverse_pre_permute = bool(reverse_permutation)
        build = checked_constructor(subnet_constructor)

        scales = torch.full((1, channels, *self._ones), start)
        self.global_scale = nn.Parameter(scales)
        self.global_offset = nn.Parameter(torch.zeros(1, channels, *self._ones))
        draw = random_rotation if permute_soft else random_permutation
        self._register_permutation(draw(channels))
        self.subnet = build(
            self.splits[0] + self.condition_channels, 2 * self.splits[1]
        )

    def forward(
        self,
        x_or_z: Sequence[Tensor],
        c: Sequence[Tensor] | None = None,
        rev: bool = False,
        jac: bool = True,  # noqa: ARG002 - part of the interface
    ) -> tuple[tuple[Tensor], Tensor]:
        """Map [(B, C, ...)] to ((B, C, ...),) and the log-Jacobian (B,).

        Args:
            x_or_z: the input, or with `rev` the output, in a list or alone.
            c: conditions, (B, channels, ...) each.
            rev: apply the inverse.
            jac: unused; the log-Jacobian is always returned.
        """
        x, conditions = self._checked(x_or_z, c)
        matrices = self._matrices()
        if rev:
            x, log_scale = self._permute(x, rev=True, matrices=matrices)
        elif self.reverse_pre_permute:
            x = self._pre_permute(x, matrices=matrices)

        x1, x2 = torch.split(x, self.splits, dim=1)
        a = coefficients(self.subnet, x1, conditions, 2 * self.splits[1])
        x2, log_jacobian = affine_coupling(
            x2, a, self.clamp, gin=self.GIN, rev=rev
        )
        x = torch.cat((x1, x2), dim=1)

        if not rev:
            x, log_scale = self._permute(x, matrices=matrices)
        elif self.reverse_pre_permute:
            x = self._pre_permute(x, rev=True, matrices=matrices)
        pixels = math.prod(x.shape[2:])
        return (x,), log_jacobian + (-pixels if rev else pixels) * log_scale

    @staticmethod
    def output_dims(input_dims: list[Any]) -> list[Any]:
        """Return the shapes of the inputs, which the outputs share."""
        return input_dims

    def global_scale_activation(self, a: Tensor) -> Tensor:
        """Compute Psi(a)."""
        return GLOBAL_SCALES[self.global_affine_type](a)

    def extra_repr(self) -> str:
        """Format sizes and options."""
        dims = [tuple(shape) for shape in self.dims_in]
        conditions = [tuple(shape) for shape in self.dims_c]
        return (
            f"dims_in={dims}, dims_c={conditions}, clamp={self.clamp}, "
            f"gin={self.GIN}, global={self.global_affine_type!r}, "
            f"reflections={self.householder}, "
            f"reverse={self.reverse_pre_permute}"
        )

    @property
    def _ones(self) -> tuple[int, ...]:
        return (1,) * self.input_rank

    def _register_permutation(self, w: Tensor) -> None:
        self._folded_from: tuple[tuple[Tensor, int], ...] = ()
        if self.householder:
            self.register_buffer("w_0", w)
            self.vk_householder = nn.Parameter(
                0.2 * torch.randn(self.householder, self.in_channels)
            )
        column = w.reshape(*w.shape, *self._ones)
        self.register_buffer("w_perm", column, persistent=not self.householder)
        self.register_buffer(
            "w_perm_inv",
            column.transpose(0, 1).contiguous(),
            persistent=not self.householder,
        )
        self._fold()

    def _construct_householder_permutation(self) -> Tensor:
        """Compute W = R V, (C, C, 1, ...), with a gradient for the vectors."""
        w = reflected(self.w_0, self.vk_householder)
        return w.reshape(*w.shape, *self._ones)

    @plain_state
    def _fold(self) -> None:
        """Cache W, its inverse, and the versions of their sources."""
        if not self.householder:
            return
        self.w_perm = self._construct_householder_permutation()
        self.w_perm_inv = self.w_perm.transpose(0, 1).contiguous()
        self._folded_from = tuple(
            (source, _version(source))
            for source in (self.vk_householder, self.w_0)
        )

    # Evaluated once at tracing, on real tensors: a graph has no versions.
    @torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
    def _is_folded(self) -> bool:
        """Return whether the cached W is that of the current vectors.

        `torch.export` may have replaced the tensors, but not their values.
        """
        exporting = torch.compiler.is_exporting()
        sources = (self.vk_householder, self.w_0)
        if len(self._folded_from) != len(sources):
            return False
        pairs = zip(sources, self._folded_from, strict=True)
        return all(
            (source is now or exporting) and _version(source) == version
            for now, (source, version) in pairs
        )

    def _matrices(self) -> tuple[Tensor, Tensor]:
        """Return W and its inverse."""
        if not self.householder:
            return self.w_perm, self.w_perm_inv
        learning = self.training and self.vk_householder.requires_grad
        if not learning and self._is_folded():
            return self.w_perm, self.w_perm_inv
        w = self._construct_householder_permutation()
        return w, w.transpose(0, 1)

    def _permute(
        self,
        x: Tensor,
        rev: bool = False,
        matrices: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Apply global scale, offset and permutation, or the inverse.

        Returns:
            The result, and the log-Jacobian () of the scale at one pixel.
        """
        w, w_inv = matrices or self._matrices()
        if self.GIN:
            scale = torch.ones_like(self.global_scale)
            log_scale = torch.zeros_like(self.global_scale).sum()
        else:
            scale = self.global_scale_activation(self.global_scale)
            log_scale = scale.log().sum()
        if rev:
            return (mixed(x, w_inv) - self.global_offset) / scale, log_scale
        return mixed(x * scale + self.global_offset, w), log_scale

    def _pre_permute(
        self,
        x: Tensor,
        rev: bool = False,
        matrices: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Apply the inverse permutation before the coupling, or revert it."""
        w, w_inv = matrices or self._matrices()
        return mixed(x, w if rev else w_inv)

    def _checked(
        self,
        x_or_z: Tensor | Sequence[Tensor],
        c: Tensor | Sequence[Tensor] | None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        inputs = tensors(x_or_z, "an input")
        conditions = tensors(c, "a condition")
        if len(inputs) != 1:
            raise InputError(
                f"got {len(inputs)} inputs; expected one tensor in a list: "
                "give [x]"
            )
        (x,) = inputs
        if x.ndim != 2 + self.input_rank or x.shape[1] != self.in_channels:
            raise InputError(
                f"got an input {tuple(x.shape)}; "
                f"expected (batch, *{tuple(self.dims_in[0])})"
            )
        checked_dtype(x, self.global_scale, "an input")
        self._check_conditions(conditions, x)
        return x, conditions

    def _check_conditions(
        self, conditions: Sequence[Tensor], x: Tensor
    ) -> None:
        if len(conditions) != len(self.dims_c):
            raise InputError(
                f"got {len(conditions)} conditions; "
                f"expected {len(self.dims_c)}, as in dims_c"
            )
        for condition, shape in zip(conditions, self.dims_c, strict=True):
            expected = (x.shape[0], shape[0], *x.shape[2:])
            if tuple(condition.shape) != expected:
                raise InputError(
                    f"got a condition {tuple(condition.shape)}; expected "
                    f"{expected}: the batch and size of the input, and the "
                    "channels of dims_c"
                )

    def train(self, mode: bool = True) -> "AllInOneBlock":
        """Set the mode; entering eval mode caches W."""
        super().train(mode)
        if not mode:
            self._fold()
        return self

    def _apply(
        self, fn: Callable[[Tensor], Tensor], recurse: bool = True
    ) -> "AllInOneBlock":
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        # Computed from vectors of the new dtype; a converted W is less exact.
        self._fold()
        return self

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._fold()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._fold()


def _version(tensor: Tensor) -> int:
    """Return the number of in-place writes; 0 for an inference tensor."""
    return 0 if tensor.is_inference() else tensor._version
