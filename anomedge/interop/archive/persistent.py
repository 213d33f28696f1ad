"""Persistent ids: the storages that a pickle refers to."""

from typing import Any, BinaryIO

import torch

from anomedge.interop.archive.limits import Refused
from anomedge.interop.archive.members import Member
from anomedge.interop.archive.records import Record
from anomedge.interop.archive.storages import STORAGE_TYPES, Storage
from anomedge.interop.archive.tensors import StoredTensor

__all__ = ["Storages"]

_QUANTISED = {
    "QInt8Storage", "QInt32Storage", "QUInt8Storage", "QUInt4x2Storage", "QUInt2x4Storage",
}  # fmt: skip
_PARTS = 5


class Storages:
    """The storages of one file; each member becomes one storage."""

    def __init__(
        self, file: BinaryIO, root: str, members: dict[str, Member]
    ) -> None:
        self._file, self._root, self._members = file, root, members
        self._opened: dict[str, Storage] = {}

    def load(self, identity: Any) -> StoredTensor | Record:
        """Return a storage as a tensor of one dimension; one with quantised values as a record.

        Raises:
            Refused: the id is not that of a storage, or its size differs from the member's.
        """
        kind, key, location, count = _parts(identity)
        if kind.name in _QUANTISED:
            return Record(kind.module, kind.name, (key, location, count))
        dtype = _storage_type(kind)
        storage = self._storage(key)
        if count * dtype.itemsize != storage.size:
            raise Refused(
                f"the storage {key[:60]!r} claims {count} values of {dtype}; its member has {storage.size} bytes"
            )
        return StoredTensor(storage, dtype, (count,), (1,), 0)

    def _storage(self, key: str) -> Storage:
        member = self._members.get(f"{self._root}/data/{key}")
        if member is None:
            raise Refused(
                f"the storage {key[:60]!r} is missing from the zip file"
            )
        if member.name not in self._opened:
            self._opened[member.name] = Storage(self._file, member)
        return self._opened[member.name]


def _parts(identity: Any) -> tuple[Record, str, str, int]:
    if type(identity) is not tuple or len(identity) != _PARTS:
        raise Refused(
            "its pickle has a persistent id of another form than torch's storages"
        )
    word, kind, key, location, count = identity
    types = (type(word), type(kind), type(key), type(location), type(count))
    if types != (str, Record, str, str, int) or word != "storage" or count < 0:
        raise Refused(
            "its pickle has a persistent id of another form than torch's storages"
        )
    return kind, key, location, count


def _storage_type(kind: Record) -> torch.dtype:
    known = kind.module in {"torch", "torch.cuda", "torch.storage"}
    if not known or kind.called or kind.name not in STORAGE_TYPES:
        raise Refused(
            f"a storage has the type {kind.path}; expected one of {', '.join(STORAGE_TYPES)}"
        )
    return STORAGE_TYPES[kind.name]
