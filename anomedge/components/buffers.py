"""What fitted estimators have in common: buffers of a size that only fitting or loading decides.

An unfitted estimator holds empty buffers. Loading a state_dict gives each of them the shape of what is loaded, so a
fitted state goes into a fresh instance; other mismatches are torch's own errors.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from anomedge.errors import InputError

__all__ = ["DynamicBufferModule", "NotATensorError", "checked_dataset"]


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

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Make room for what is loaded, then load it."""
        for name, buffer in self._buffers.items():
            loaded = state_dict.get(prefix + name)
            if buffer is None or name in self._non_persistent_buffers_set or not isinstance(loaded, Tensor):
                continue
            if buffer.shape != loaded.shape:
                dtype = loaded.dtype if buffer.numel() == 0 else buffer.dtype
                self._buffers[name] = torch.empty(loaded.shape, dtype=dtype, device=buffer.device)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def checked_dataset(dataset: Tensor) -> Tensor:
    """The dataset, when an estimator can be fitted to it.

    >>> checked_dataset(torch.zeros(5, 2)).shape
    torch.Size([5, 2])

    Raises:
        InputError: not (N, d) of floating point numbers with d >= 1 and N >= 2, or a value that is not finite.
    """
    if dataset.ndim != 2 or dataset.shape[1] == 0 or not dataset.is_floating_point():
        raise InputError(f"got a dataset {tuple(dataset.shape)} of {dataset.dtype}; expected (N, d), floating point")
    if dataset.shape[0] < 2:
        raise InputError(f"got {dataset.shape[0]} samples; expected at least 2 to have a spread: give more of them")
    # Extremes are NaN where any value is; a mask would take memory as large as the data.
    if not bool(torch.isfinite(torch.stack(dataset.aminmax())).all()):
        raise InputError("got a dataset that is not finite; expected numbers: check pictures and weights")
    return dataset
