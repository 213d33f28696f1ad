"""Checked tensors of a foreign file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from anomedge.errors import ModelError
from anomedge.interop.anomalib.foreign import ForeignModel, Taken, TensorSource

__all__ = ["loaded", "refuse_misshapen", "said_precision", "tensor_of"]


def tensor_of(
    foreign: ForeignModel, name: str, dimensions: int, meaning: str
) -> TensorSource:
    """Return a tensor of the file that is not empty, before it is loaded.

    Args:
        foreign: the file.
        name: name of the tensor.
        dimensions: its number of dimensions.
        meaning: description of its content, for messages.

    Raises:
        ModelError: it is missing, empty, or has another number of dimensions.
    """
    tensor = foreign.tensors.get(name)
    if tensor is None:
        raise ModelError(
            f"got no tensor {name} ({meaning}); expected it in a fitted model: fit it with anomalib's Engine"
        )
    if 0 in tensor.shape:
        raise ModelError(
            f"got an empty tensor {name} ({meaning}), as in a model that is not fitted; expected values: "
            f"fit it with anomalib's Engine"
        )
    if len(tensor.shape) != dimensions:
        raise ModelError(
            f"got tensor {name} ({meaning}) of shape {tensor.shape}; expected {dimensions} dimensions"
        )
    return tensor


def loaded(tensor: TensorSource, name: str) -> Tensor:
    """Return the values in float32.

    Raises:
        ModelError: not floating point numbers, or some that are not finite.
    """
    if not tensor.dtype.is_floating_point:
        raise ModelError(
            f"got tensor {name} of {tensor.dtype}; expected floating point numbers"
        )
    values = tensor.load().float()
    low, high = values.aminmax() if values.numel() else (values, values)
    if not bool(torch.isfinite(torch.stack([low, high])).all()):
        raise ModelError(
            f"got tensor {name} with values that are not finite; expected numbers: fit the model again"
        )
    return values


def refuse_misshapen(
    found: Mapping[str, TensorSource],
    expected: Mapping[str, Tensor],
    optional: Sequence[str],
    network: str,
) -> None:
    """Compare names and shapes before anything is loaded.

    Args:
        found: tensors of the file.
        expected: tensors of the network.
        optional: ends of names that may be missing.
        network: name of the network, for messages.

    Raises:
        ModelError: a tensor that is missing, that the network lacks, or of
            another shape.
    """
    for name, tensor in expected.items():
        if name not in found:
            if name.endswith(tuple(optional)):
                continue
            raise ModelError(
                f"got no tensor {name} of {network}; expected all of them"
            )
        if tuple(found[name].shape) != tuple(tensor.shape):
            raise ModelError(
                f"got tensor {name} of shape {tuple(found[name].shape)}; expected {tuple(tensor.shape)}, as in {network}"
            )
    unknown = sorted(found.keys() - expected.keys())
    if unknown:
        raise ModelError(
            f"got tensor {unknown[0]}, which {network} with these layers lacks; expected the tensors of that network only"
        )


def said_precision(
    what: str, dtypes: Sequence[torch.dtype], taken: Taken
) -> None:
    """Add a line if tensors are not float32, which they become."""
    other = sorted(
        str(dtype).removeprefix("torch.")
        for dtype in set(dtypes)
        if dtype.is_floating_point and dtype != torch.float32
    )
    if other:
        taken.add(
            f"precision of the {what}",
            f"float32, converted from {', '.join(other)}; anomalib computes in {', '.join(other)}, so scores differ in its rounding",
            "computed",
        )
