"""Calls that become values: torch's tensors, and Python's containers. All others become records."""

from collections.abc import Callable
from typing import Any

import torch

from anomedge.interop.archive.keys import KeyCheck
from anomedge.interop.archive.limits import Budget, Refused
from anomedge.interop.archive.machine import COSTS
from anomedge.interop.archive.records import CALL, Record
from anomedge.interop.archive.tensors import StoredTensor

__all__ = ["Calls", "called"]

_NEW_TYPES = (
    "uint16", "uint32", "uint64", "complex32", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu",
)  # fmt: skip
_OLD_TYPES = (
    "float64", "float32", "float16", "bfloat16", "complex128", "complex64", "int64", "int32", "int16", "int8", "uint8", "bool",
)  # fmt: skip
_TYPES = {
    name: getattr(torch, name)
    for name in (*_OLD_TYPES, *_NEW_TYPES)
    if hasattr(torch, name)
}
_PLAIN_TENSORS = {"torch.Tensor", "torch.nn.parameter.Parameter"}
_LATIN = {"latin1", "latin-1"}


def called(callee: Record, args: tuple[Any, ...]) -> Record:
    """Return the record of a call that is not made."""
    if callee.called:
        return Record("", CALL, (callee, *args))
    return Record(callee.module, callee.name, args)


class Calls:
    """The calls of one file that become values."""

    def __init__(self, budget: Budget, check_key: KeyCheck) -> None:
        self._budget, self._key = budget, check_key

    def result(self, callee: Any, args: Any) -> Any:
        """Return the value of a call, or its record.

        Raises:
            Refused: the callee is no name, the arguments are no tuple, or they are not those that torch writes.
        """
        if not isinstance(callee, Record) or type(args) is not tuple:
            raise Refused(
                f"its pickle calls a {type(callee).__name__}; expected the name of a class or function, and a tuple"
            )
        path = (callee.module, callee.name)
        if callee.called or path not in _VALUES:
            self._budget.charge(COSTS.RECORD + COSTS.ITEM * len(args))
            return called(callee, args)
        self._budget.charge(COSTS.CONTAINER)
        try:
            return _VALUES[path](self, *args)
        except TypeError as error:
            raise Refused(
                f"its pickle calls {callee.path} with {len(args)} arguments that torch does not write"
            ) from error

    def _mapping(self, content: Any = ()) -> dict[Any, Any]:
        """Return a dict of a dict or of pairs."""
        if not isinstance(content, (dict, list, tuple)):
            raise TypeError
        self._budget.charge(COSTS.ENTRY * len(content))
        pairs = content.items() if isinstance(content, dict) else content
        made = {}
        for pair in pairs:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise TypeError
            made[self._key(pair[0])] = pair[1]
        return made

    def _default(self, _factory: Any = None, content: Any = ()) -> Any:
        return self._mapping(content)

    def _keys(self, content: Any) -> list[Any]:
        if not isinstance(content, (list, tuple, set, frozenset)):
            raise TypeError
        self._budget.charge(COSTS.ENTRY * len(content))
        return [self._key(item) for item in content]

    def _set(self, content: Any = ()) -> set[Any]:
        return set(self._keys(content))

    def _frozenset(self, content: Any = ()) -> frozenset[Any]:
        return frozenset(self._keys(content))

    def _bytes(self, content: Any = b"", encoding: Any = "latin1") -> bytes:
        if not isinstance(content, (str, bytes)) or encoding not in _LATIN:
            raise TypeError
        self._budget.charge(2 * len(content))
        if isinstance(content, bytes):
            return content
        try:
            return content.encode("latin1")
        except UnicodeEncodeError:
            raise TypeError from None

    def _size(self, content: Any = ()) -> tuple[Any, ...]:
        if not isinstance(content, (list, tuple)):
            raise TypeError
        self._budget.charge(COSTS.ITEM * len(content))
        return tuple(content)

    def _tensor(
        self, stored: Any, offset: Any, shape: Any, strides: Any
    ) -> StoredTensor:
        self._check_storage(stored)
        self._budget.charge(COSTS.TENSOR)
        return StoredTensor(
            stored.storage, stored.dtype, shape, strides, offset
        )

    def _tensor_v2(
        self,
        stored: Any,
        offset: Any,
        shape: Any,
        strides: Any,
        _gradient: Any,
        _hooks: Any,
        metadata: Any = None,
    ) -> StoredTensor:
        _check_metadata(metadata)
        return self._tensor(stored, offset, shape, strides)

    def _tensor_v3(
        self,
        stored: Any,
        offset: Any,
        shape: Any,
        strides: Any,
        _gradient: Any,
        _hooks: Any,
        dtype: Any,
        metadata: Any = None,
    ) -> StoredTensor:
        _check_metadata(metadata)
        self._check_storage(stored)
        self._budget.charge(COSTS.TENSOR)
        return StoredTensor(
            stored.storage, _type_named(dtype), shape, strides, offset
        )

    def _parameter(self, data: Any, *_: Any) -> Any:
        """Return the tensor of a parameter; its flags and state are dropped."""
        return data

    def _from_type(
        self, function: Any, kind: Any, args: Any, state: Any
    ) -> Any:
        """Return a tensor that has attributes of its own, without them; subclasses stay records."""
        if isinstance(kind, Record) and kind.path in _PLAIN_TENSORS:
            return self.result(function, args)
        self._budget.charge(COSTS.RECORD)
        return Record(
            "torch._tensor",
            "_rebuild_from_type_v2",
            (function, kind, args, state),
        )

    @staticmethod
    def _check_storage(stored: Any) -> None:
        if not isinstance(stored, StoredTensor):
            kind = stored.path if isinstance(stored, Record) else type(stored)
            raise Refused(
                f"a tensor lies on {kind}; expected a storage of a type that torch has no quantised values for"
            )


def _check_metadata(metadata: Any) -> None:
    if metadata:
        raise Refused(
            "a tensor is marked as conjugated or negated; save it with .resolve_conj().resolve_neg()"
        )


def _type_named(record: Any) -> torch.dtype:
    known = (
        isinstance(record, Record)
        and record.module == "torch"
        and not record.called
        and record.name in _TYPES
    )
    if not known:
        raise Refused(f"a tensor has the type {record!r}; expected a plain one")
    found: torch.dtype = _TYPES[record.name]
    return found


_VALUES: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): Calls._mapping,
    ("collections", "Counter"): Calls._mapping,
    ("collections", "defaultdict"): Calls._default,
    ("_codecs", "encode"): Calls._bytes,
    ("torch", "Size"): Calls._size,
    ("torch._utils", "_rebuild_tensor"): Calls._tensor,
    ("torch._utils", "_rebuild_tensor_v2"): Calls._tensor_v2,
    ("torch._utils", "_rebuild_tensor_v3"): Calls._tensor_v3,
    ("torch._utils", "_rebuild_parameter"): Calls._parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): Calls._parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): Calls._from_type,
}
for _module in ("builtins", "__builtin__"):
    _VALUES |= {
        (_module, "set"): Calls._set,
        (_module, "frozenset"): Calls._frozenset,
        (_module, "bytes"): Calls._bytes,
        (_module, "bytearray"): Calls._bytes,
    }
