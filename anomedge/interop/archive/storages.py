"""Storages: the bytes of tensors, each one member of the file."""

import zlib
from typing import BinaryIO

import torch
from torch import Tensor

from anomedge.interop.archive.limits import Refused
from anomedge.interop.archive.member_content import check_content, check_crc
from anomedge.interop.archive.members import Member

__all__ = ["STORAGE_TYPES", "Storage"]

STORAGE_TYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "ComplexDoubleStorage": torch.complex128,
    "ComplexFloatStorage": torch.complex64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "UntypedStorage": torch.uint8,
}


class Storage:
    """The bytes of one member; the CRC-32 is checked at the first read."""

    def __init__(self, file: BinaryIO, member: Member) -> None:
        self._file, self._member = file, member
        self._checked = False

    @property
    def name(self) -> str:
        """Name of the member."""
        return self._member.name

    @property
    def size(self) -> int:
        """Bytes."""
        return self._member.size

    def read(self, start: int, count: int) -> Tensor:
        """Return `count` bytes from `start` on, as uint8 in memory of its own.

        Raises:
            Refused: the member is damaged, or the file was closed or became shorter.
        """
        if self._file.closed:
            raise Refused("it is closed; load tensors before its block ends")
        whole = count == self.size
        if not self._checked and not whole:
            check_content(self._file, self._member)
        content = self._bytes(start, count)
        if not self._checked and whole:
            check_crc(self._member, zlib.crc32(content.numpy().data))
        self._checked = True
        return content

    def _bytes(self, start: int, count: int) -> Tensor:
        content = torch.empty(count, dtype=torch.uint8)
        self._file.seek(self._member.start + start)
        read = self._file.readinto(content.numpy())  # type: ignore[attr-defined]
        if read != count:
            raise Refused(
                f"got {read} bytes of {self._member.name!r}; expected {count}: it changed meanwhile"
            )
        return content
