r"""What every invertible module promises.

With :math:`z = f(x)` and :math:`J = \log\lvert\det \partial f/\partial x\rvert`, one value an item of the batch,

.. math:: \mathtt{forward}(x) = (f(x),\; J), \qquad \mathtt{forward}(z, \mathtt{rev{=}True}) = (f^{-1}(z),\; -J)

The interface is that of FrEIA 0.2 (Ardizzone et al. 2018, "Framework for Easily Invertible Architectures",
github.com/vislearn/FrEIA), so that blocks written for it take their place here.
"""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from torch import Tensor, nn

from anomedge.errors import InputError

__all__ = ["InvertibleModule", "Shape", "tensors"]

Shape = Sequence[int]
"""Sizes of one tensor without its batch: (C,) of vectors, (C, H, W) of images."""


class InvertibleModule(nn.Module):
    """A map of tensors with an inverse, both of which say their log-Jacobian.

    A subclass writes `forward` and `output_dims`. It returns J forward and -J reversed; with `jac=False` it may leave J
    out, or return it when it costs nothing. Conditions steer the map and are not inverted.

    Args:
        dims_in: the shape of each input, without the batch.
        dims_c: the shape of each condition, without the batch; None or [] for none.
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
        """Map inputs, or with `rev` outputs back, given conditions c; each tensor is (B, *its shape).

        Returns:
            A tuple of tensors, and the log-Jacobian (B,) of the direction asked for.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def output_dims(self, input_dims: list[Any]) -> list[Any]:
        """The shapes of the outputs for inputs of these shapes, both without the batch."""
        raise NotImplementedError(f"{type(self).__name__} has no output_dims")

    def log_jacobian(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002 - whatever it was given
        """Deprecated: warns and does nothing; `forward` returns the log-Jacobian beside the tensors."""
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
    given: Tensor | Sequence[Tensor] | None, what: str
) -> tuple[Tensor, ...]:
    """A tensor alone as a tuple of one, None as a tuple of none.

    Raises:
        InputError: something else than tensors.
    """
    if given is None:
        return ()
    if not isinstance(given, (Tensor, list, tuple)):
        raise InputError(
            f"got {what} of type {type(given).__name__}; expected a list of tensors: give [tensor]"
        )
    found = (given,) if isinstance(given, Tensor) else tuple(given)
    for item in found:
        if not isinstance(item, Tensor):
            raise InputError(
                f"got {what} of type {type(item).__name__}; expected tensors: give [tensor]"
            )
    return found
