"""Keys of dicts and items of sets: only those that are hashed and compared in bounded time.

Hashes of tuples and of large integers can be made to collide, and a tuple that contains a tuple twice, which contains
another twice, takes exponential time to hash. Hashes of text are keyed by the process, and records compare by identity.
Hashes of numbers are known, so numbers can be chosen that are searched for in the same places of a table: there are
at most so many of them that the square of their number is no long time. Equal long texts are compared byte by byte, so text is charged by its length each time that it is a key.
"""

from typing import Any

from anomedge.interop.archive.limits import (
    MOST_COMPOUND_KEYS,
    MOST_NUMBER_KEYS,
    Budget,
    Refused,
)
from anomedge.interop.archive.records import Record
from anomedge.interop.archive.tensors import StoredTensor

__all__ = ["KeyCheck"]

_DISTINCT = (1 << 61) - 1  # integers below it have different hashes
_MOST_PARTS = 1000


class KeyCheck:
    """A check of all keys of one file, which counts those whose hashes may collide."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._compound = self._numbers = 0

    def __call__(self, key: Any) -> Any:
        """Return the key.

        Raises:
            Refused: it is not hashable, too large, or one of too many.
        """
        if isinstance(key, (str, bytes)):
            self._budget.charge(len(key))
        elif type(key) in {int, float} and _is_simple(key):
            self._numbers += 1
            if self._numbers > MOST_NUMBER_KEYS:
                raise Refused(
                    f"over {MOST_NUMBER_KEYS} of its keys are numbers"
                )
        elif not _is_simple(key):
            self._compound += 1
            if self._compound > MOST_COMPOUND_KEYS:
                raise Refused(
                    f"over {MOST_COMPOUND_KEYS} of its keys are tuples, sets or large integers"
                )
            _check_parts(key)
        return key


def _is_simple(key: Any) -> bool:
    if type(key) is int:
        return abs(key) < _DISTINCT
    return key is None or isinstance(
        key, (str, bytes, bool, float, Record, StoredTensor)
    )


def _check_parts(key: Any) -> None:
    waiting, parts = [key], 0
    while waiting:
        part = waiting.pop()
        parts += 1
        if isinstance(part, (tuple, frozenset, str, bytes)):
            parts += len(part)
        elif type(part) is not int and not _is_simple(part):
            raise Refused(
                f"got a key with a {type(part).__name__}; expected text, numbers, or tuples of them"
            )
        if parts > _MOST_PARTS:
            raise Refused(
                f"got a key of over {_MOST_PARTS} parts or characters; expected fewer"
            )
        if isinstance(part, (tuple, frozenset)):
            waiting += part
