"""Calls that become values: torch's tensors, and Python's containers. All others become records."""

from collections.abc import Callable
from typing import Any

import torch

from anomedge.interop.archive.limits import COSTS, Refused
from anomedge.interop.archive.machine import Machine, misused
from anomedge.interop.archive.records import CALL, Record
from anomedge.interop.archive.tensors import StoredTensor

__all__ = ["called", "value_or_record"]

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


def value_or_record(machine: Machine, callee: Any, args: Any) -> Any:
    """Return the value of a call, or its record.

    Raises:
        Refused: the callee is no name, the arguments are no tuple, or they are not those that torch writes.
    """
    if not isinstance(callee, Record) or type(args) is not tuple:
        raise misused("REDUCE", callee)
    path = (callee.module, callee.name)
    if callee.called or path not in _VALUES:
        machine.budget.charge(COSTS.RECORD + COSTS.ITEM * len(args))
        return called(callee, args)
    machine.budget.charge(COSTS.CONTAINER)
    try:
        return _VALUES[path](machine, *args)
    except TypeError as error:
        raise Refused(
            f"its pickle calls {callee.path} with {len(args)} arguments that torch does not write"
        ) from error


def _mapping(machine: Machine, content: Any = ()) -> dict[Any, Any]:
    """Return a dict of a dict or of pairs."""
    if not isinstance(content, (dict, list, tuple)):
        raise TypeError
    machine.budget.charge(COSTS.ENTRY * len(content))
    pairs = content.items() if isinstance(content, dict) else content
    made = {}
    for pair in pairs:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise TypeError
        made[machine.key(pair[0])] = pair[1]
    return made


def _default(machine: Machine, _factory: Any = None, content: Any = ()) -> Any:
    return _mapping(machine, content)


def _keys(machine: Machine, content: Any) -> list[Any]:
    if not isinstance(content, (list, tuple, set, frozenset)):
        raise TypeError
    machine.budget.charge(COSTS.ENTRY * len(content))
    return [machine.key(item) for item in content]


def _set(machine: Machine, content: Any = ()) -> set[Any]:
    return set(_keys(machine, content))


def _frozenset(machine: Machine, content: Any = ()) -> frozenset[Any]:
    return frozenset(_keys(machine, content))


def _bytes(
    machine: Machine, content: Any = b"", encoding: Any = "latin1"
) -> bytes:
    if not isinstance(content, (str, bytes)) or encoding not in _LATIN:
        raise TypeError
    machine.budget.charge(2 * len(content))
    if isinstance(content, bytes):
        return content
    try:
        return content.encode("latin1")
    except UnicodeEncodeError:
        raise TypeError from None


def _size(machine: Machine, content: Any = ()) -> tuple[Any, ...]:
    if not isinstance(content, (list, tuple)):
        raise TypeError
    machine.budget.charge(COSTS.ITEM * len(content))
    return tuple(content)


def _tensor(
    machine: Machine, stored: Any, offset: Any, shape: Any, strides: Any
) -> StoredTensor:
    _check_storage(stored)
    return _placed(machine, stored.dtype, stored, shape, strides, offset)


def _tensor_v2(
    machine: Machine,
    stored: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    _gradient: Any,
    _hooks: Any,
    metadata: Any = None,
) -> StoredTensor:
    _check_metadata(metadata)
    return _tensor(machine, stored, offset, shape, strides)


def _tensor_v3(
    machine: Machine,
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
    _check_storage(stored)
    named = _type_named(dtype)
    return _placed(machine, named, stored, shape, strides, offset)


def _placed(
    machine: Machine, dtype: torch.dtype, stored: StoredTensor, *place: Any
) -> StoredTensor:
    machine.budget.charge(COSTS.TENSOR)
    made = StoredTensor(stored.storage, dtype, *place)
    machine.budget.charge_tensor(max(made.nbytes, made.bytes_read))
    return made


def _parameter(_: Machine, data: Any, *_flags: Any) -> StoredTensor | Record:
    """Return the tensor of a parameter; its flags and state are dropped."""
    if not isinstance(data, (StoredTensor, Record)):
        raise TypeError
    return data


def _from_type(
    machine: Machine, function: Any, kind: Any, args: Any, state: Any
) -> Any:
    """Return a tensor that has attributes of its own, without them; subclasses stay records."""
    plain = isinstance(kind, Record) and kind.path in _PLAIN_TENSORS
    # Not this function itself again: a file could nest it until Python's stack is full.
    if plain and _is_rebuild(function):
        return value_or_record(machine, function, args)
    machine.budget.charge(COSTS.RECORD)
    return Record(
        "torch._tensor",
        "_rebuild_from_type_v2",
        (function, kind, args, state),
    )


def _check_storage(stored: Any) -> None:
    if not isinstance(stored, StoredTensor):
        kind = stored.path if isinstance(stored, Record) else type(stored)
        raise Refused(
            f"a tensor lies on {kind}; expected a storage without quantised values"
        )


def _is_rebuild(function: Any) -> bool:
    return (
        isinstance(function, Record)
        and function.module == "torch._utils"
        and not function.called
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
    ("collections", "OrderedDict"): _mapping,
    ("collections", "Counter"): _mapping,
    ("collections", "defaultdict"): _default,
    ("_codecs", "encode"): _bytes,
    ("torch", "Size"): _size,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor_v2,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor_v3,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _from_type,
}
for _module in ("builtins", "__builtin__"):
    _VALUES |= {
        (_module, "set"): _set,
        (_module, "frozenset"): _frozenset,
        (_module, "bytes"): _bytes,
        (_module, "bytearray"): _bytes,
    }
