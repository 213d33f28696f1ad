"""Tensors that are not read yet: type, shape and place, checked against the storage."""

from math import prod
from typing import Any

import torch
from torch import Tensor

from anomedge.errors import ModelError
from anomedge.interop.archive.limits import (
    MOST_DIMENSIONS,
    SMALL_TENSOR,
    Refused,
)
from anomedge.interop.archive.storages import Storage

__all__ = ["StoredTensor"]

_LARGEST = 1 << 48  # of a size, a stride or an offset
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class StoredTensor:
    """A tensor in the file; `load` reads it.

    Attributes:
        dtype: its type.
        shape: its shape.
        strides: steps between elements of each dimension, in elements of the storage.
        offset: its first element in the storage.
        storage: its bytes, which it may share with other tensors.
    """

    __slots__ = ("dtype", "offset", "shape", "storage", "strides")

    def __init__(
        self,
        storage: Storage,
        dtype: torch.dtype,
        shape: Any,
        strides: Any,
        offset: Any,
    ) -> None:
        """Take values from a pickle.

        Raises:
            Refused: they are no sizes, they reach beyond the storage, or the tensor is larger than its storage.
        """
        self.dtype = dtype
        self.shape = _sizes("shape", shape)
        self.strides = _sizes("strides", strides)
        (self.offset,) = _sizes("offset", (offset,))
        self.storage = storage
        self._check()

    @property
    def nbytes(self) -> int:
        """Bytes of the loaded tensor."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def bytes_read(self) -> int:
        """Bytes that `load` reads: all from the first to the last element."""
        return self._span * self.dtype.itemsize

    def load(self) -> Tensor:
        """Read the tensor; contiguous, in memory of its own.

        Raises:
            ModelError: the file is damaged, closed, or became shorter.
        """
        item = self.dtype.itemsize
        try:
            content = self.storage.read(self.offset * item, self.bytes_read)
            if self.dtype == torch.bool and bool((content > 1).any()):
                raise Refused("a boolean tensor has bytes other than 0 and 1")
        except (Refused, OSError) as error:
            raise ModelError(f"cannot read a tensor: {error}") from error
        if self._contiguous:
            return content.view(self.dtype).reshape(self.shape)
        return self._gathered(content).view(self.dtype)

    def __repr__(self) -> str:
        return f"<StoredTensor {self.dtype} {list(self.shape)}>"

    @property
    def _span(self) -> int:
        """Elements from the first to the last one, those between them included."""
        if 0 in self.shape:
            return 0
        steps = zip(self.shape, self.strides, strict=True)
        return 1 + sum((size - 1) * stride for size, stride in steps)

    @property
    def _contiguous(self) -> bool:
        expected = 1
        for size, stride in zip(
            reversed(self.shape), reversed(self.strides), strict=True
        ):
            if size != 1 and stride != expected:
                return 0 in self.shape
            expected *= size
        return True

    def _gathered(self, content: Tensor) -> Tensor:
        """Return the elements in order, as integers: torch copies not every type."""
        item = self.dtype.itemsize
        if item in _INTEGERS:
            flat = content.view(_INTEGERS[item])
            return flat.as_strided(self.shape, self.strides).contiguous()
        pairs = content.view(torch.int64).as_strided(
            (*self.shape, 2), (*(2 * s for s in self.strides), 1)
        )
        return pairs.contiguous().view(torch.complex128).squeeze(-1)

    def _check(self) -> None:
        if len(self.shape) != len(self.strides):
            raise Refused(
                f"a tensor of shape {list(self.shape)} has {len(self.strides)} strides"
            )
        item = self.dtype.itemsize
        end = (self.offset + self._span) * item
        if self._span and end > self.storage.size:
            raise Refused(
                f"a tensor of shape {list(self.shape)} reaches to byte {end} of a storage of {self.storage.size} bytes"
            )
        if self.nbytes > max(self.storage.size, SMALL_TENSOR):
            raise Refused(
                f"a tensor of shape {list(self.shape)} expands a storage of {self.storage.size} bytes; save it with .contiguous()"
            )


def _sizes(kind: str, values: Any) -> tuple[int, ...]:
    if type(values) is not tuple or len(values) > MOST_DIMENSIONS:
        raise Refused(
            f"a tensor's {kind} are no tuple of at most {MOST_DIMENSIONS} numbers"
        )
    for value in values:
        if type(value) is not int or not 0 <= value <= _LARGEST:
            raise Refused(
                f"a tensor's {kind} contain a value that is no size from 0 to 2^48"
            )
    return values
