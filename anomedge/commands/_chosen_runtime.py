"""Name the runtime that was chosen where the user named none."""

from __future__ import annotations

from typing import Protocol

from anomedge.commands._console import SafeConsole
from anomedge.runtimes import Choice, Session

__all__ = ["chosen", "print_choice"]


class _Opened(Protocol):
    """A session, or a detector under a runtime."""

    @property
    def choice(self) -> Choice | None: ...


def print_choice(opened: _Opened) -> None:
    """Print the runtime and the reason on standard error, unless the user named it."""
    if opened.choice is not None:
        SafeConsole(stderr=True).print(opened.choice.line)


def chosen(session: Session, device: str | None) -> dict[str, str | None]:
    """Return runtime and device of a session, as options for opening another one."""
    if session.choice is not None:
        device = session.choice.device
    return {"runtime": session.name, "device": device}
