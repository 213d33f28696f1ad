"""Inert records of the classes, functions and calls that a pickle names."""

from dataclasses import dataclass, field
from typing import Any

__all__ = ["CALL", "Record"]

CALL = "<call>"


@dataclass(eq=False, repr=False, slots=True)
class Record:
    """A class or function that a pickle names, or the object that it would have built. Nothing was imported or called.

    Two records are equal only if they are the same one. Records, lists and dicts may contain each other in cycles.

    Attributes:
        module: the module, for example "torch.nn.modules.linear".
        name: the qualified name in it, for example "Linear". If the pickle calls a record that is itself the result of
            a call, then the module is "", the name "<call>", and `args[0]` is that record.
        args: positional arguments of the call.
        state: the state that the object would have been given; None if there is none.
        items: the items that would have been appended.
        entries: the entries that would have been set.
        keywords: keyword arguments of the call.
        called: False for the class or function itself.
    """

    module: str
    name: str
    args: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)
    entries: dict[Any, Any] = field(default_factory=dict)
    keywords: dict[str, Any] = field(default_factory=dict)
    called: bool = True

    @property
    def path(self) -> str:
        """Module and name, joined by a dot.

        >>> Record("torch.nn.modules.linear", "Linear").path
        'torch.nn.modules.linear.Linear'
        """
        return f"{self.module}.{self.name}" if self.module else self.name

    def __repr__(self) -> str:
        """Return the name alone, because the content may be cyclic."""
        return f"<Record {self.path}>"
