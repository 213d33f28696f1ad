"""Read the tensors of a safetensors file through the descriptor that its header was read from.

The reader of safetensors maps a file by its name. `fit --force` between two reads would mix two models, and a file that
is overwritten while a detector is in use would change the detector. This reader maps nothing, and hashes the bytes that
it returns.
"""

import os
from collections.abc import Iterator, Mapping
from math import prod
from typing import Annotated, Any, BinaryIO

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from anomedge.files import validated

__all__ = ["TensorEntry", "read_tensors", "tensor_entries"]

_FLOATS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
_NOT_FLOATS = {
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
_DTYPES = _FLOATS | _NOT_FLOATS
Count = Annotated[int, Field(ge=0)]


class TensorEntry(BaseModel):
    """Type, shape and position of a tensor, as stated in the file's header."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: str
    shape: tuple[Count, ...]
    data_offsets: tuple[Count, Count]

    def has_type_of(self, tensor: Tensor) -> bool:
        """Return whether the stored type suits a tensor of the detector.

        Floating-point tensors are stored in float32 or in the tensor's own type.
        """
        if not tensor.is_floating_point():
            return self.dtype in _NOT_FLOATS
        return self.dtype == "F32" or _FLOATS.get(self.dtype) == tensor.dtype


def tensor_entries(content: Mapping[str, Any]) -> dict[str, TensorEntry]:
    """Return the entries of a parsed header, without its `__metadata__`.

    Raises:
        JsonError: an entry does not describe a tensor.
    """
    return {
        name: validated(TensorEntry, entry)
        for name, entry in content.items()
        if name != "__metadata__"
    }


def read_tensors(
    file: BinaryIO, stated: Mapping[str, TensorEntry], digest: Any
) -> dict[str, Tensor]:
    """Read every tensor of an open file.

    Args:
        file: the open file, positioned at the first byte after the header.
        stated: the header's entries, of types that `TensorEntry.has_type_of` accepts.
        digest: a hash of `hashlib`; the bytes are added in file order.

    Raises:
        ValueError: the file's length differs from its header, or its tensors overlap or leave gaps.
        OSError: the file cannot be read.
    """
    ordered = sorted(stated.items(), key=lambda item: item[1].data_offsets)
    # Checked before memory is allocated, because a header may state any size.
    available = os.fstat(file.fileno()).st_size - file.tell()
    _check_positions(ordered, available)
    return dict(_tensors(file, ordered, digest))


def _check_positions(
    ordered: list[tuple[str, TensorEntry]], available: int
) -> None:
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
    file: BinaryIO, ordered: list[tuple[str, TensorEntry]], digest: Any
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
