r"""An affine coupling with what usually stands around it in a normalising flow.

.. math:: y = W \big(\Psi(s_\mathrm{global}) \odot \mathrm{Coupling}(W^{-1} x) + t_\mathrm{global}\big), \qquad W = R V

:math:`R` is a fixed permutation, or a rotation drawn from SO(N); :math:`V` a product of learned reflections, if asked
for; :math:`W^{-1}` before the coupling is optional. The coupling leaves one half of the channels as it is and
moves the other by what a subnet makes of the first and of the conditions c:

.. math:: u_1 = x_1, \qquad u_2 = x_2 \odot \exp\!\big(\alpha \tanh s\big) + t, \qquad (s, t) = 0.1\, \mathrm{subnet}(x_1, c)

.. math:: \log\lvert\det J\rvert = \sum \alpha \tanh s + P \sum_{i=1}^{C} \log \Psi(s_{\mathrm{global}, i})

with P pixels. A GIN block subtracts from :math:`\alpha \tanh s` its mean over the item and has no global scale, so that
its log-Jacobian is 0 (Sorrenson et al. 2020, "Disentanglement by Nonlinear ICA with General Incompressible-flow
Networks", arXiv:2001.04872). :math:`\Psi` is

.. math:: 10\, \sigma(a - 2) \;\text{(SIGMOID)}, \qquad 0.2 \ln\!\big(1 + e^{a/2}\big) \;\text{(SOFTPLUS)}, \qquad
          e^a \;\text{(EXP)}

Sources: Ardizzone et al. 2019, arXiv:1907.02392; Dinh et al. 2017, arXiv:1605.08803; Kingma and Dhariwal 2018,
arXiv:1807.03039; Putzky and Welling 2019, arXiv:1911.10914 (the permutation undone before the block).

Where FrEIA's published text and its behaviour differ, its behaviour is the definition: the text has
:math:`u_1 = x_1 \odot \exp(\alpha \tanh s(x_2)) + t(x_2)`, :math:`u_2 = x_2` and :math:`y = V R\, \Psi(s_\mathrm{global})
\odot \mathrm{Coupling}(R^{-1} V^{-1} x) + t_\mathrm{global}`; the code transforms :math:`x_2` given :math:`x_1`, scales the
subnet's output by 0.1, multiplies the reflections to :math:`R` from the right, and adds :math:`t_\mathrm{global}` before
the permutation.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anomedge.components.buffers import checked_dtype, plain_state
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
from anomedge.components.scalars import real, sizes, whole
from anomedge.errors import InputError

__all__ = ["AllInOneBlock"]

_SUBNET_SCALE = 0.1

_PSI: dict[str, Callable[[Tensor], Tensor]] = {
    "SIGMOID": lambda a: 10 * torch.sigmoid(a - 2),
    "SOFTPLUS": lambda a: 0.1 * F.softplus(a, beta=0.5),
    "EXP": torch.exp,
}
_INVERSE_PSI: dict[str, Callable[[float], float]] = {
    "SIGMOID": lambda scale: 2 - math.log(10 / scale - 1),
    "SOFTPLUS": lambda scale: (
        2 * (5 * scale + math.log(-math.expm1(-5 * scale)))
    ),
    "EXP": math.log,
}


class AllInOneBlock(InvertibleModule):
    """Coupling, global scale and offset, and permutation of C channels, as one invertible block.

    Parameters and buffers have the names that FrEIA 0.2 and anomalib 2 store: `global_scale`, `global_offset`,
    `subnet.*`, and `w_perm`, `w_perm_inv`, or with learned reflections `w_0`, `vk_householder`.

    With learned reflections the matrix is multiplied out once, and kept as a buffer, whenever the block enters eval mode,
    is loaded, moved or copied; a block in eval mode, or whose `vk_householder` needs no gradient, uses that buffer and
    gives the vectors no gradient. Vectors written to in place after that are noticed, though not through `.data` nor by a
    block already compiled: call `eval()` again.

    Args:
        dims_in: the one input's shape in a list: [(C,)] of vectors, or [(C, H, W)]; 0 to 3 spatial axes, C >= 2.
            Spatial sizes may differ from call to call.
        dims_c: the conditions' shapes, with the input's spatial sizes; None or [] for none.
        subnet_constructor: called as f(channels_in, channels_out), gives the subnet: (C + 1) // 2 channels and those of the
            conditions in, 2 (C // 2) out, the same spatial size.
        affine_clamping: alpha, >= 0; each coupling scales by at most exp(alpha).
        gin_block: preserve volume.
        global_affine_init: what Psi(s_global) starts at; positive, below 10 for SIGMOID.
        global_affine_type: Psi; "SIGMOID", "SOFTPLUS" or "EXP".
        permute_soft: draw R from SO(C) rather than from the permutations.
        learned_householder_permutation: number of reflections in V; 0 for none.
        reverse_permutation: undo the permutation before the block.

    Raises:
        InputError: invalid shapes, options, inputs or conditions, or a subnet that returns a wrong shape.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> block = AllInOneBlock([(4,)], subnet_constructor=nn.Linear, global_affine_init=0.5)
        >>> x = torch.arange(8.0).reshape(2, 4)
        >>> (z,), log_jacobian = block([x])
        >>> (again,), back = block([z], rev=True)
        >>> torch.allclose(again, x, atol=1e-5), torch.allclose(back, -log_jacobian)
        (True, True)
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
        shape, *conditions = _checked_dims(self.dims_in, self.dims_c)
        clamp, scale = (
            real(affine_clamping, "affine_clamping"),
            real(global_affine_init, "global_affine_init"),
        )
        reflections = whole(
            learned_householder_permutation,
            "learned_householder_permutation",
            least=0,
        )
        _check_options(clamp, scale, global_affine_type)
        if not callable(subnet_constructor):
            raise InputError(
                f"got subnet_constructor={subnet_constructor!r}; expected a callable of (channels in, channels out) "
                "that gives a module, such as torch.nn.Linear"
            )
        channels = shape[0]
        self.in_channels = channels
        self.input_rank = len(shape) - 1
        self.splits = [channels - channels // 2, channels // 2]
        self.condition_channels = sum(condition[0] for condition in conditions)
        self.conditional = bool(conditions)
        self.clamp = clamp
        self.GIN = bool(gin_block)
        self.global_affine_type = global_affine_type
        self.householder = reflections
        self.reverse_pre_permute = bool(reverse_permutation)

        start = _INVERSE_PSI[global_affine_type](scale)
        self.global_scale = nn.Parameter(
            torch.full((1, channels, *self._ones), start)
        )
        self.global_offset = nn.Parameter(torch.zeros(1, channels, *self._ones))
        self._register_permutation(
            random_rotation(channels)
            if permute_soft
            else random_permutation(channels)
        )
        self.subnet = subnet_constructor(
            self.splits[0] + self.condition_channels, 2 * self.splits[1]
        )

    def forward(
        self,
        x_or_z: Sequence[Tensor],
        c: Sequence[Tensor] | None = None,
        rev: bool = False,
        jac: bool = True,  # noqa: ARG002 - of the interface
    ) -> tuple[tuple[Tensor], Tensor]:
        """Map [(B, C, ...)] to ((B, C, ...),) and the log-Jacobian (B,), which costs nothing and is always given.

        Args:
            x_or_z: the input, or with `rev` the output, in a list; alone it does, too.
            c: conditions, (B, channels, ...) each.
            rev: run backwards.
            jac: kept for the interface.
        """
        x, conditions = self._checked(x_or_z, c)
        matrices = self._matrices()
        if rev:
            x, log_scale = self._permute(x, rev=True, matrices=matrices)
        elif self.reverse_pre_permute:
            x = self._pre_permute(x, matrices=matrices)

        x1, x2 = torch.split(x, self.splits, dim=1)
        x2, log_jacobian = self._affine(
            x2, self._coefficients(x1, conditions), rev=rev
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
        """The input's own."""
        return input_dims

    def global_scale_activation(self, a: Tensor) -> Tensor:
        """Psi."""
        return _PSI[self.global_affine_type](a)

    def extra_repr(self) -> str:
        """Sizes and options."""
        dims, conditions = (
            [tuple(shape) for shape in self.dims_in],
            [tuple(shape) for shape in self.dims_c],
        )
        return (
            f"dims_in={dims}, dims_c={conditions}, clamp={self.clamp}, gin={self.GIN}, "
            f"global={self.global_affine_type!r}, reflections={self.householder}, reverse={self.reverse_pre_permute}"
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
        """W = R V of the learned vectors, (C, C, 1, ...), with a gradient for them."""
        return reflected(self.w_0, self.vk_householder).reshape(
            self.in_channels, self.in_channels, *self._ones
        )

    @plain_state
    def _fold(self) -> None:
        """Keep W and its inverse, and what they were made of."""
        if not self.householder:
            return
        self.w_perm = self._construct_householder_permutation()
        self.w_perm_inv = self.w_perm.transpose(0, 1).contiguous()
        self._folded_from = tuple(
            (source, _version(source))
            for source in (self.vk_householder, self.w_0)
        )

    # Asked once when the block is traced, with the real tensors: a graph has no versions.
    @torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
    def _is_folded(self) -> bool:
        """Whether the buffer is what the vectors make now; `torch.export` may have put others in their place."""
        exporting = torch.compiler.is_exporting()
        sources = (self.vk_householder, self.w_0)
        return len(self._folded_from) == len(sources) and all(
            (source is now or exporting) and _version(source) == version
            for now, (source, version) in zip(
                sources, self._folded_from, strict=True
            )
        )

    def _matrices(self) -> tuple[Tensor, Tensor]:
        """W and its inverse."""
        learning = (
            self.householder
            and self.training
            and self.vk_householder.requires_grad
        )
        if not self.householder or (not learning and self._is_folded()):
            return self.w_perm, self.w_perm_inv
        w = self._construct_householder_permutation()
        return w, w.transpose(0, 1)

    def _permute(
        self,
        x: Tensor,
        rev: bool = False,
        matrices: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Global scale, offset and permutation, or with `rev` back; and the log-Jacobian () of a pixel's scaling."""
        w, w_inv = matrices or self._matrices()
        if self.GIN:
            scale, log_scale = (
                torch.ones_like(self.global_scale),
                torch.zeros_like(self.global_scale).sum(),
            )
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
        """The inverse permutation ahead of the coupling, or with `rev` back."""
        w, w_inv = matrices or self._matrices()
        return mixed(x, w if rev else w_inv)

    def _coefficients(self, x1: Tensor, conditions: Sequence[Tensor]) -> Tensor:
        # The concatenation is the subnet's own: one that writes to its input writes to nothing of ours.
        given = torch.cat((x1, *conditions), dim=1)
        expected = (x1.shape[0], 2 * self.splits[1], *x1.shape[2:])
        try:
            a = self.subnet(given)
        except torch.OutOfMemoryError:
            raise
        except (IndexError, RuntimeError, ValueError) as error:
            raise InputError(
                f"got a subnet that fails on {tuple(given.shape)} ({_first_line(error)}); expected one that gives "
                f"{expected}: channels are axis 1, so torch.nn.Linear fits vectors only, and images take convolutions"
            ) from error
        if not isinstance(a, Tensor) or a.shape != expected:
            got = tuple(a.shape) if isinstance(a, Tensor) else type(a).__name__
            raise InputError(
                f"got {got} from the subnet for {tuple(given.shape)}; expected {expected}: as many channels as it was "
                "constructed for, and padding that keeps the size"
            )
        return a

    def _affine(
        self, x: Tensor, a: Tensor, rev: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Scale and shift x (B, C2, ...) by the subnet's output a (B, 2 C2, ...), or with `rev` back; and J (B,)."""
        s, t = torch.split(a * _SUBNET_SCALE, x.shape[1], dim=1)
        axes = tuple(range(1, x.ndim))
        log_scale = self.clamp * torch.tanh(s)
        if self.GIN:
            log_scale = log_scale - log_scale.mean(dim=axes, keepdim=True)
            log_jacobian = x.new_zeros(
                x.shape[0]
            )  # what the differences from a mean sum to, without their rounding
        else:
            log_jacobian = log_scale.sum(dim=axes)
        if rev:
            return (x - t) * torch.exp(-log_scale), -log_jacobian
        return x * torch.exp(log_scale) + t, log_jacobian

    def _checked(
        self,
        x_or_z: Tensor | Sequence[Tensor],
        c: Tensor | Sequence[Tensor] | None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        inputs, conditions = (
            tensors(x_or_z, "an input"),
            tensors(c, "a condition"),
        )
        if len(inputs) != 1:
            raise InputError(
                f"got {len(inputs)} inputs; expected one tensor in a list: give [x]"
            )
        (x,) = inputs
        if x.ndim != 2 + self.input_rank or x.shape[1] != self.in_channels:
            raise InputError(
                f"got an input {tuple(x.shape)}; expected (batch, *{tuple(self.dims_in[0])})"
            )
        checked_dtype(x, self.global_scale, "an input")
        if len(conditions) != len(self.dims_c):
            raise InputError(
                f"got {len(conditions)} conditions; expected {len(self.dims_c)}, as in dims_c"
            )
        for condition, shape in zip(conditions, self.dims_c, strict=True):
            expected = (x.shape[0], shape[0], *x.shape[2:])
            if tuple(condition.shape) != expected:
                raise InputError(
                    f"got a condition {tuple(condition.shape)}; expected {expected}: the input's batch and size, "
                    "and the channels of dims_c"
                )
        return x, conditions

    def train(self, mode: bool = True) -> "AllInOneBlock":
        """Switch modes; entering eval mode folds the permutation."""
        super().train(mode)
        if not mode:
            self._fold()
        return self

    def _apply(
        self, fn: Callable[[Tensor], Tensor], recurse: bool = True
    ) -> "AllInOneBlock":
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._fold()  # from vectors of the new precision, not from a rounded product
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
    """How often a tensor was written to; inference tensors do not count."""
    return 0 if tensor.is_inference() else tensor._version


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _checked_dims(
    dims_in: Sequence[Shape], dims_c: Sequence[Shape]
) -> list[tuple[int, ...]]:
    """Return the shapes of the input and of the conditions, as ints."""
    shapes = [sizes(shape) for shape in [*dims_in, *dims_c]]
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes):
        raise InputError(
            f"got dims_in={dims_in}, dims_c={dims_c}; expected lists of shapes: give [(C,)] or [(C, H, W)]"
        )
    if len(dims_in) != 1 or not 1 <= len(known[0]) <= 4:
        raise InputError(
            f"got dims_in={dims_in}; expected one shape of 1 to 4 axes: give [(C,)] or [(C, H, W)]"
        )
    channels, *spatial = known[0]
    if channels < 2:
        raise InputError(
            "got 1 channel; expected at least 2: one half is moved by what the other says"
        )
    for shape in known[1:]:
        if list(shape[1:]) != spatial:
            raise InputError(
                f"got a condition {shape} beside an input {known[0]}; expected the same sizes after "
                "the channels: resize or broadcast the condition"
            )
    return known


def _check_options(clamp: float, scale: float, kind: str) -> None:
    if kind not in _PSI:
        raise InputError(
            f"got global_affine_type={kind!r}; expected one of {', '.join(_PSI)}"
        )
    limit = 10.0 if kind == "SIGMOID" else math.inf
    if not 0 < scale < limit:
        raise InputError(
            f"got global_affine_init={scale}; expected one between 0 and {limit} for {kind}"
        )
    if not 0 <= clamp < math.inf:
        raise InputError(
            f"got affine_clamping={clamp}; expected a finite number >= 0, such as 2.0"
        )
