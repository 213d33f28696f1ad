"""Blur of anomalib's maps: a Gaussian of sigma 4 in all versions."""

from __future__ import annotations

import numpy as np
import torch

from anomedge.errors import ModelError
from anomedge.interop.anomalib.foreign import ForeignModel
from anomedge.interop.anomalib.tensors import loaded
from anomedge.resample import gaussian_kernel

__all__ = ["SIGMA", "refuse_other_blur"]

SIGMA = 4.0
"""Standard deviation of the blur, in pixels."""

_KERNEL = "anomaly_map_generator.blur.kernel"
_SIDE = 2 * int(4.0 * SIGMA + 0.5) + 1


def refuse_other_blur(foreign: ForeignModel) -> None:
    """Compare the file's kernel, if it has one, with a Gaussian of sigma 4.

    Raises:
        ModelError: another kernel.
    """
    stored = foreign.tensors.get(_KERNEL)
    if stored is None:
        return
    row = gaussian_kernel(_SIDE, SIGMA)
    kernel = torch.from_numpy(np.outer(row, row)).float()
    if tuple(stored.shape) == (1, 1, _SIDE, _SIDE):
        values = loaded(stored, _KERNEL)[0, 0]
        if torch.allclose(values, kernel, rtol=2e-3, atol=1e-6):
            return
    raise ModelError(
        f"got a blur {_KERNEL} of shape {tuple(stored.shape)} that is no Gaussian of sigma {SIGMA:g}; "
        f"expected that one, which anomalib's models have: import it with --with-anomalib"
    )
