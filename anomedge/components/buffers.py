"""What fitted estimators have in common: buffers of a size that only fitting or loading decides.

An unfitted estimator holds empty buffers. Loading a state_dict gives each of them the shape of what is loaded, so a
fitted state goes into a fresh instance; other mismatches are torch's own errors.

Statistics are ordinary tensors without gradients, even if the caller is in inference mode: see `plain_state`.
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

    Lightning validates under `torch.inference_mode()`. Inference tensors cannot be written to, and tensors with a graph
    cannot be deep-copied. The decorator affects new tensors only; a method that stores an argument or a view of it must
    copy it.

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
    """An attribute asked for as a tensor is none; a `ValueError`, as anomalib raises."""


class DynamicBufferModule(nn.Module):
    """A module whose buffers take the size of what is loaded.

    Only persistent buffers that are registered (not None) are resized, each to the tensor of exactly its name. A buffer
    that is empty has no numbers to keep a precision for, so it takes the loaded dtype as well; any other keeps its own
    dtype, as torch does. Buffers are replaced, never resized in place: who holds the old tensor keeps it as it was.

    Example:
        >>> module = DynamicBufferModule()
        >>> module.register_buffer("table", torch.empty(0))
        >>> module.load_state_dict({"table": torch.tensor([[1.0, 2.0]])})
        <All keys matched successfully>
        >>> module.get_tensor_attribute("table")
        tensor([[1., 2.]])
    """

    def get_tensor_attribute(self, attribute_name: str) -> Tensor:
        """The tensor of that name.

        Raises:
            NotATensorError: an attribute that is no tensor; it is both an `InputError` and a `ValueError`.
            AttributeError: no attribute of that name.
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
        """Make room for what is loaded, then load it."""
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
    """The dataset, when an estimator can be fitted to it.

    >>> checked_dataset(torch.zeros(5, 2)).shape
    torch.Size([5, 2])

    Raises:
        InputError: not (N, d) of floating point numbers with d >= 1 and N >= 2, or a value that is not finite.
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
    # Extremes are NaN where any value is; a mask would take memory as large as the data.
    if not bool(torch.isfinite(torch.stack(dataset.aminmax())).all()):
        raise InputError(
            "got a dataset that is not finite; expected numbers: check pictures and weights"
        )
    return dataset
