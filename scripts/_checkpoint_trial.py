"""Read one mutated checkpoint under watch: audit events, time, peak memory, message."""

import ctypes
import gc
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from _watch import audited, begin_peak, peak_growth

from anomedge.errors import ModelError
from anomedge.interop.archive import Record, StoredTensor, open_archive

__all__ = ["Outcome", "read_watched"]

FREE = 64 << 20
_CODE = ("exec", "compile", "import", "marshal.", "code.__new__", "pickle.", "ctypes.", "os.", "subprocess.", "socket.", "builtins.input")  # fmt: skip
_LIBC = ctypes.CDLL(None)
_MOST_VALUES = 5_000_000

_found: list[str] | None = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _found is not None and event.startswith(_CODE):
        _found.append(f"{event} {arguments[:1]!r}"[:200])


sys.addaudithook(_hook)


class Outcome(NamedTuple):
    """Outcome of a trial.

    Attributes:
        result: "read", "refused", or "violation".
        violations: one line per violation.
        growth: rise of the peak memory above that of the process before its first trial, in bytes.
        share: that rise divided by the limit.
    """

    result: str
    violations: tuple[str, ...]
    seconds: float
    growth: int
    share: float
    message: str


def read_watched(path: Path, limit: float, memory: int) -> Outcome:
    """Read a file and load each of its tensors; `memory` is that of the process before its first trial, in bytes."""
    global _found
    bound = 2 * path.stat().st_size + FREE
    _release()
    begin_peak()
    start = time.monotonic()
    with audited(path.parent) as touched:
        _found = events = []
        try:
            result, message = "read", _read(path)
        except ModelError as error:
            result, message = "refused", str(error)
        except BaseException as error:  # noqa: BLE001 - every other exception is a violation
            result, message = "violation", f"{type(error).__name__}: {error}"
        finally:
            _found = None
    seconds, growth = time.monotonic() - start, peak_growth(memory)
    violations = [f"code: {event}" for event in events]
    violations += [f"touched: {action}" for action in touched]
    if result == "violation":
        violations.append(message)
    if result == "refused":
        violations += _message_faults(message, path)
    if seconds > limit:
        violations.append(f"slow: {seconds:.1f} s")
    if growth > bound:
        violations.append(f"memory: {growth >> 20} MiB of {bound >> 20}")
    return Outcome(result, tuple(violations), seconds, growth, growth / bound, message)  # fmt: skip


def _release() -> None:
    """Free cycles of the trial before, and return free memory of the C library to the system."""
    gc.collect()
    _LIBC.malloc_trim(0)


def _read(path: Path) -> str:
    with open_archive(path) as archive:
        loaded = refused = 0
        for tensor in _tensors(archive.content):
            try:
                found = tensor.load()
            except ModelError:
                refused += 1
                continue
            if tuple(found.shape) != tensor.shape or found.dtype != tensor.dtype:  # fmt: skip
                raise AssertionError("a tensor of another shape or type")
            loaded += 1
            del found
    return f"{loaded} tensors, {refused} refused"


def _tensors(content: Any) -> "list[StoredTensor]":
    """Return every tensor once; visit each value once."""
    waiting, seen, found = [content], set(), []
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, StoredTensor):
            found.append(value)
        elif isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, (list, tuple, set, frozenset)):
            waiting += value
        elif isinstance(value, Record):
            waiting += [value.args, value.state, value.items, value.entries, value.keywords]  # fmt: skip
        if len(seen) > _MOST_VALUES:
            raise AssertionError("too many values")
    return found


def _message_faults(text: str, path: Path) -> list[str]:
    faults = []
    if not text.startswith(f"cannot read {path}: ") or len(text) > 4000:
        faults.append(f"message: {text[:200]!r}")
    if not text.isprintable():
        faults.append(f"message with control characters: {text[:200]!r}")
    return faults
