"""The state of a pickle's interpretation: stack, marks and memo."""

from typing import Any

from anomedge.interop.archive.limits import MOST_MARKS, Budget, Refused

__all__ = ["COSTS", "Machine"]


class COSTS:
    """Upper bounds of memory in bytes."""

    SCALAR = 64
    CONTAINER = 256
    ITEM = 24
    ENTRY = 192
    MEMO = 192
    RECORD = 640
    TENSOR = 1024


class Machine:
    """Stack, marks and memo of one pickle."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
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
