r"""Positive global scale of a flow block, :math:`\Psi(s)`, and its inverse.

.. math:: 10\, \sigma(a - 2) \;\text{(SIGMOID)}, \qquad
          0.2 \ln\!\big(1 + e^{a/2}\big) \;\text{(SOFTPLUS)}, \qquad
          e^a \;\text{(EXP)}
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from anomedge.errors import InputError

__all__ = ["GLOBAL_SCALES", "initial_parameter"]

GLOBAL_SCALES: dict[str, Callable[[Tensor], Tensor]] = {
    "SIGMOID": lambda a: 10 * torch.sigmoid(a - 2),
    "SOFTPLUS": lambda a: 0.1 * F.softplus(a, beta=0.5),
    "EXP": torch.exp,
}

_INVERSES: dict[str, Callable[[float], float]] = {
    "SIGMOID": lambda scale: 2 - math.log(10 / scale - 1),
    "SOFTPLUS": lambda scale: (
        2 * (5 * scale + math.log(-math.expm1(-5 * scale)))
    ),
    "EXP": math.log,
}


def initial_parameter(kind: str, scale: float) -> float:
    """Return the parameter a with Psi(a) = scale.

    >>> initial_parameter("EXP", 1.0)
    0.0

    Raises:
        InputError: an unknown kind, or a scale outside the range of Psi.
    """
    if kind not in GLOBAL_SCALES:
        raise InputError(
            f"got global_affine_type={kind!r}; "
            f"expected one of {', '.join(GLOBAL_SCALES)}"
        )
    limit = 10.0 if kind == "SIGMOID" else math.inf
    if not 0 < scale < limit:
        raise InputError(
            f"got global_affine_init={scale}; "
            f"expected one between 0 and {limit} for {kind}"
        )
    return _INVERSES[kind](scale)
