"""The state of a pickle's interpretation: stack, marks and memo."""

from collections.abc import Callable
from typing import Any

from anomedge.interop.archive.keys import KeyCheck
from anomedge.interop.archive.limits import COSTS, MOST_MARKS, Budget, Refused
from anomedge.interop.archive.records import Record

__all__ = ["Machine", "misused"]


class Machine:
    """Stack, marks and memo of one pickle, and the services that its opcodes need.

    Attributes:
        budget: the memory that the values may take.
        key: check of the keys of dicts and of the items of sets.
        load_storage: gives the value of a persistent id.
        stack: the values above the last mark.
    """

    def __init__(
        self, budget: Budget, load_storage: Callable[[Any], Any]
    ) -> None:
        self.budget, self.load_storage = budget, load_storage
        self.key = KeyCheck(budget)
        self.stack: list[Any] = []
        self._marked: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def push(self, value: Any, cost: int) -> None:
        """Put a new value on the stack."""
        self.budget.charge(cost + COSTS.ITEM)
        self.stack.append(value)

    def pop(self) -> Any:
        """Take the top of the stack.

        Raises:
            Refused: nothing lies above the last mark.
        """
        if not self.stack:
            raise Refused("its pickle takes a value from an empty stack")
        return self.stack.pop()

    def top(self) -> Any:
        """Return the top of the stack.

        Raises:
            Refused: nothing lies above the last mark.
        """
        if not self.stack:
            raise Refused("its pickle uses a value of an empty stack")
        return self.stack[-1]

    def mark(self) -> None:
        """Begin a group of values.

        Raises:
            Refused: too many groups are open.
        """
        if len(self._marked) >= MOST_MARKS:
            raise Refused(f"its pickle has over {MOST_MARKS} open marks")
        self.budget.charge(COSTS.CONTAINER)
        self._marked.append(self.stack)
        self.stack = []

    def pop_marked(self) -> list[Any]:
        """Take the values above the last mark, and the mark.

        Raises:
            Refused: there is no mark.
        """
        if not self._marked:
            raise Refused("its pickle closes a group that it did not open")
        values = self.stack
        self.stack = self._marked.pop()
        return values

    def drop_marked(self) -> None:
        """Drop the values above the last mark, and the mark."""
        self.pop_marked()

    def drop(self) -> None:
        """Take the top of the stack, or the last mark if nothing lies above it."""
        if self.stack or not self._marked:
            self.pop()
        else:
            self.pop_marked()

    def keep(self, index: int | None = None) -> None:
        """Store the top of the stack in the memo; without an index, under the next one."""
        self.budget.charge(COSTS.MEMO)
        number = len(self._memo) if index is None else index
        self._memo[number] = self.top()

    def recall(self, index: int) -> None:
        """Put a value of the memo on the stack.

        Raises:
            Refused: the memo has none under that index.
        """
        if index not in self._memo:
            raise Refused(
                f"its pickle uses value {index}, which it did not store"
            )
        self.push(self._memo[index], 0)

    def result(self) -> Any:
        """Return the only value that is left.

        Raises:
            Refused: more or fewer are left.
        """
        if self._marked or len(self.stack) != 1:
            raise Refused(
                f"its pickle leaves {len(self.stack)} values; expected one"
            )
        return self.stack[0]


def misused(opcode: str, target: Any) -> Refused:
    """Return the error of an opcode that is applied to a value of another kind."""
    kind = repr(target) if isinstance(target, Record) else type(target).__name__
    return Refused(
        f"its pickle applies {opcode} to {kind[:200]}, which torch.save does not write"
    )
