"""The tensors of a safetensors file, read from the descriptor that its header was read from.

safetensors' own reader maps a file by its name. A `fit --force` between two reads would mix two models, and a file that is
overwritten while a detector is in use would change the detector. Here nothing stays mapped, and what was hashed is what runs.
"""

import os
from collections.abc import Iterator, Mapping
from math import prod
from typing import Annotated, Any, BinaryIO

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from anomedge.files import validated

__all__ = ["Stated", "read_tensors", "stated_tensors"]

_FLOATS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
_OTHERS = {
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
_DTYPES = _FLOATS | _OTHERS
Count = Annotated[int, Field(ge=0)]


class Stated(BaseModel):
    """Type, shape and place of a tensor as the file's header states them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: str
    shape: tuple[Count, ...]
    data_offsets: tuple[Count, Count]

    def has_type_of(self, tensor: Tensor) -> bool:
        """Floating-point tensors are float32, or of the type that this process computes in; others keep theirs."""
        if not tensor.is_floating_point():
            return self.dtype in _OTHERS
        return self.dtype == "F32" or _FLOATS.get(self.dtype) == tensor.dtype


def stated_tensors(content: Mapping[str, Any]) -> dict[str, Stated]:
    """The tensors that a parsed header states, without its `__metadata__`.

    Raises:
        JsonError: an entry is no tensor's.
    """
    return {
        name: validated(Stated, entry)
        for name, entry in content.items()
        if name != "__metadata__"
    }


def read_tensors(
    file: BinaryIO, stated: Mapping[str, Stated], digest: Any
) -> dict[str, Tensor]:
    """Read every tensor of an open file.

    Args:
        file: the open file; its position is the first byte behind the header.
        stated: what the header states, of types that `Stated.has_type_of` accepts.
        digest: a hash of `hashlib`, to which the bytes are added in their order.

    Raises:
        ValueError: the file is not as long as its header states, or its tensors overlap or leave gaps.
        OSError: it cannot be read.
    """
    ordered = sorted(stated.items(), key=lambda item: item[1].data_offsets)
    # Before any memory is taken: sizes in a header are only claims.
    _check_places(ordered, os.fstat(file.fileno()).st_size - file.tell())
    return dict(_tensors(file, ordered, digest))


def _check_places(ordered: list[tuple[str, Stated]], available: int) -> None:
    position = 0
    for name, tensor in ordered:
        begin, end = tensor.data_offsets
        size = prod(tensor.shape) * _DTYPES[tensor.dtype].itemsize
        if begin != position or end - begin != size:
            raise ValueError(
                f"{name} lies at bytes {begin} to {end}; expected {position} to {position + size}"
            )
        position = end
    if position != available:
        raise ValueError(
            f"got {available} bytes of tensors; expected {position}"
        )


def _tensors(
    file: BinaryIO, ordered: list[tuple[str, Stated]], digest: Any
) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in ordered:
        begin, end = tensor.data_offsets
        content = torch.empty(end - begin, dtype=torch.uint8)
        read = file.readinto(content.numpy())  # type: ignore[attr-defined]
        if read != end - begin:
            raise ValueError(
                f"got {read} bytes of {name}; expected {end - begin}"
            )
        digest.update(content.numpy())
        yield name, content.view(_DTYPES[tensor.dtype]).reshape(tensor.shape)
