"""Base class of probes, which look at one part of a device each, and their findings."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

__all__ = ["Finding", "Probe", "State"]

State = Literal["present", "absent", "broken"]


@dataclass(frozen=True)
class Finding:
    """One fact about a device.

    Attributes:
        title: what was looked for.
        value: what was found, in one line.
        state: present; absent; or broken, where something is installed and does not work.
    """

    title: str
    value: str
    state: State = "present"


class Probe(abc.ABC):
    """Looks at one part of a device, in a process of its own.

    Attributes:
        name: as plugins and JSON name it.
        title: heading of its findings.
        order: place in the report.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    order: ClassVar[int] = 100

    @classmethod
    @abc.abstractmethod
    def look(cls) -> Iterator[Finding]:
        """Yield findings, the safe ones first: those before a crash are kept."""
