r"""Interface of invertible modules.

With :math:`z = f(x)` and
:math:`J = \log\lvert\det \partial f/\partial x\rvert`, one value per item of
the batch,

.. math:: \mathtt{forward}(x) = (f(x),\; J), \qquad
          \mathtt{forward}(z, \mathtt{rev{=}True}) = (f^{-1}(z),\; -J)

The interface is that of FrEIA 0.2 (Ardizzone et al. 2018, "Framework for Easily
Invertible Architectures", github.com/vislearn/FrEIA), so blocks written for
FrEIA can be used.
"""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor, nn

from anomedge.errors import InputError

__all__ = ["InvertibleModule", "Shape", "tensors"]

Shape = Sequence[int]
"""Shape of one tensor without the batch: (C,) for vectors, (C, H, W) for images."""


class InvertibleModule(nn.Module):
    """An invertible map of tensors that returns its log-Jacobian.

    A subclass implements `forward` and `output_dims`. It returns J forward and
    -J in reverse; with `jac=False` it may omit J. Conditions are inputs that
    are not inverted.

    Args:
        dims_in: the shape of each input, without the batch.
        dims_c: the shape of each condition, without the batch; None or [] for
            none.
    """

    def __init__(
        self, dims_in: Iterable[Shape], dims_c: Iterable[Shape] | None = None
    ) -> None:
        super().__init__()
        self.dims_in = _listed(dims_in, "dims_in")
        self.dims_c = _listed(dims_c or (), "dims_c")

    def forward(
        self,
        x_or_z: Sequence[Tensor],
        c: Sequence[Tensor] | None = None,
        rev: bool = False,
        jac: bool = True,
    ) -> tuple[Any, Any]:
        """Map inputs to outputs, or with `rev` outputs to inputs.

        Args:
            x_or_z: tensors (B, *shape).
            c: conditions (B, *shape).
            rev: apply the inverse.
            jac: compute the log-Jacobian.

        Returns:
            A tuple of tensors, and the log-Jacobian (B,) of this direction.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def output_dims(self, input_dims: list[Any]) -> list[Any]:
        """Return the output shapes for input shapes, without the batch."""
        raise NotImplementedError(f"{type(self).__name__} has no output_dims")

    def log_jacobian(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002 - arguments are ignored
        """Warn and do nothing; deprecated: `forward` returns the log-Jacobian."""
        warnings.warn(
            "log_jacobian does nothing; forward(..., jac=True) returns (tensors, log-Jacobian)",
            DeprecationWarning,
            stacklevel=2,
        )


def _listed(shapes: Iterable[Shape], name: str) -> list[Shape]:
    if not isinstance(shapes, Iterable):
        raise InputError(
            f"got {name}={shapes!r}; expected a list of shapes: give [(C,)] or [(C, H, W)]"
        )
    return list(shapes)


def tensors(
    given: Tensor | Sequence[Tensor] | None, name: str
) -> tuple[Tensor, ...]:
    """Convert a tensor or a sequence of tensors to a tuple; None to ().

    Raises:
        InputError: another type.
    """
    if given is None:
        return ()
    if not isinstance(given, (Tensor, list, tuple)):
        raise InputError(
            f"got {name} of type {type(given).__name__}; expected a list of tensors: give [tensor]"
        )
    found = (given,) if isinstance(given, Tensor) else tuple(given)
    for item in found:
        if not isinstance(item, Tensor):
            raise InputError(
                f"got {name} of type {type(item).__name__}; expected tensors: give [tensor]"
            )
    return found
