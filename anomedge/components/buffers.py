"""Buffers of fitted estimators, with sizes set by fitting or loading.

An unfitted estimator has empty buffers. Loading a state_dict gives each buffer
the shape of the loaded tensor, so a fitted state loads into a new instance.
Other mismatches raise the errors of torch.

Statistics are ordinary tensors without gradients, also in inference mode: see
`plain_state`.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, nn
from torch.jit import is_scripting  # type: ignore[attr-defined]  # public, though not in its __all__

from anomedge.errors import InputError

__all__ = [
    "DynamicBufferModule",
    "NotATensorError",
    "as_dtype_of",
    "checked_dataset",
    "checked_dtype",
    "floating",
    "is_scripting",
    "plain_state",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")


def plain_state(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate a method that stores tensors: new tensors are neither inference tensors nor part of a gradient graph.

    Lightning validates under `torch.inference_mode()`. Inference tensors cannot
    be written to, and tensors with a graph cannot be deep-copied. The decorator
    affects new tensors only; a method that stores an argument or a view of it
    must copy it.

    >>> @plain_state
    ... def double(x):
    ...     return 2 * x
    >>> with torch.inference_mode():
    ...     double(torch.ones(1)).is_inference()
    False
    >>> double(torch.ones(1, requires_grad=True)).requires_grad
    False
    """

    @functools.wraps(method)
    def plain(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        # Leaving inference mode enables gradients, so no_grad must come second.
        with torch.inference_mode(mode=False), torch.no_grad():
            return method(*args, **kwargs)

    return plain


def as_dtype_of(statistic: Tensor, x: Tensor) -> Tensor:
    """Convert the statistic to the dtype of x; return it unchanged, without a graph node, if the dtypes match."""
    return statistic if statistic.dtype == x.dtype else statistic.to(x.dtype)


def floating(x: Tensor, statistic: Tensor) -> Tensor:
    """Convert integers to the dtype of the statistic; return floating-point tensors unchanged."""
    return x if x.is_floating_point() else x.to(statistic.dtype)


def checked_dtype(x: Tensor, weight: Tensor, name: str) -> None:
    """Require the input to have the dtype of the weights, unless autocast converts it.

    Raises:
        InputError: the dtypes differ.
    """
    if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
        raise InputError(
            f"got {name} of {x.dtype}; expected {weight.dtype}, as the module's weights: convert one of the two"
        )


class NotATensorError(InputError, ValueError):
    """A requested attribute is not a tensor; a `ValueError`, as in anomalib."""


class DynamicBufferModule(nn.Module):
    """A module with buffers that take the shape of the loaded tensors.

    Persistent, registered buffers (not None) are resized to the tensor of their
    name. An empty buffer also takes the loaded dtype; other buffers keep their
    dtype, as in torch. Buffers are replaced, not resized in place, so a
    reference to the old tensor stays valid.

    Example:
        >>> module = DynamicBufferModule()
        >>> module.register_buffer("table", torch.empty(0))
        >>> module.load_state_dict({"table": torch.tensor([[1.0, 2.0]])})
        <All keys matched successfully>
        >>> module.get_tensor_attribute("table")
        tensor([[1., 2.]])
    """

    def get_tensor_attribute(self, attribute_name: str) -> Tensor:
        """Return the tensor with this name.

        Raises:
            NotATensorError: the attribute is not a tensor; both an
                `InputError` and a `ValueError`.
            AttributeError: no attribute with this name.
        """
        attribute = getattr(self, attribute_name)
        if not isinstance(attribute, Tensor):
            raise NotATensorError(
                f"Attribute with name '{attribute_name}' is not a torch Tensor: got {type(attribute).__name__}; "
                f"expected the name of a buffer or parameter"
            )
        return attribute

    @plain_state
    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Resize the buffers, then load."""
        for name, buffer in self._buffers.items():
            loaded = state_dict.get(prefix + name)
            if (
                buffer is None
                or name in self._non_persistent_buffers_set
                or not isinstance(loaded, Tensor)
            ):
                continue
            # An inference tensor cannot be written to.
            if buffer.shape != loaded.shape or buffer.is_inference():
                dtype = loaded.dtype if buffer.numel() == 0 else buffer.dtype
                self._buffers[name] = torch.empty(
                    loaded.shape, dtype=dtype, device=buffer.device
                )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def checked_dataset(dataset: Tensor) -> Tensor:
    """Return the dataset if an estimator can be fitted to it.

    >>> checked_dataset(torch.zeros(5, 2)).shape
    torch.Size([5, 2])

    Raises:
        InputError: not (N, d) of floating point numbers with d >= 1 and N >= 2,
            or a value that is not finite.
    """
    if (
        dataset.ndim != 2
        or dataset.shape[1] == 0
        or not dataset.is_floating_point()
    ):
        raise InputError(
            f"got a dataset {tuple(dataset.shape)} of {dataset.dtype}; expected (N, d), floating point"
        )
    if dataset.shape[0] < 2:
        raise InputError(
            f"got {dataset.shape[0]} samples; expected at least 2 to have a spread: give more of them"
        )
    # A NaN makes both extremes NaN; isfinite(dataset) would need a large mask.
    if not bool(torch.isfinite(torch.stack(dataset.aminmax())).all()):
        raise InputError(
            "got a dataset that is not finite; expected numbers: check pictures and weights"
        )
    return dataset
