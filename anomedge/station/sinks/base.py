"""Base class of sinks, the receivers of a station's events.

To add a sink, write one file in this folder, or a class in an installed package that registers the entry-point group
`anomedge.sinks`. `anomedge watch --sink ADDRESS` finds it and asks `accepts` whether an address is its own.

A sink only sends. The queue on disk, the order, the retries and their delays are those of
`anomedge.station.delivery`, in one thread for each sink.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

from anomedge.errors import RuntimeMissing
from anomedge.extras import install_advice

__all__ = ["Event", "Sink", "SinkDown", "missing_package"]

Event = Mapping[str, Any]
"""An event as in the output lines, with "id", and "repeated" (true) if it may have been sent before."""


class SinkDown(Exception):
    """The receiver has not confirmed an event; it is sent again later.

    Args:
        reason: one line, without secrets.
        sent: the event may have arrived; the next attempt is then marked as repeated.
    """

    def __init__(self, reason: str, *, sent: bool = True) -> None:
        super().__init__(reason)
        self.sent = sent


class Sink(abc.ABC):
    """A receiver of events. All methods but `open` run in one thread.

    Attributes:
        name: name of this kind of sink, unique.
        address_help: forms of its addresses, for messages.
        title: address for display and logs, without user names and passwords.
    """

    name: ClassVar[str]
    address_help: ClassVar[str] = ""
    title: str

    @classmethod
    @abc.abstractmethod
    def accepts(cls, address: str) -> bool:
        """Return whether the address belongs to this kind of sink; connect to nothing and import no package."""

    @classmethod
    @abc.abstractmethod
    def open(cls, address: str) -> Sink:
        """Return the sink of an address; connect in `send`, because the receiver may be down at the start.

        Raises:
            InputError: the address cannot be used.
            RuntimeMissing: a required package is not installed.
        """

    @abc.abstractmethod
    def send(self, event: Event) -> None:
        """Send an event and wait, for a limited time, until the receiver has confirmed it. Connect first if needed.

        Raises:
            SinkDown: it was not confirmed. The next call connects anew.
        """

    def idle(self) -> None:  # noqa: B027 - few sinks have such work
        """Do regular work, such as a heartbeat; called about once a second between events.

        Raises:
            SinkDown: the receiver cannot be reached.
        """

    def close(self) -> None:  # noqa: B027 - some have no connection
        """Close the connection; raise nothing."""


def missing_package(kind: str, error: ImportError) -> RuntimeMissing:
    """Return the error of a sink whose package cannot be imported; the extra has the sink's name."""
    return RuntimeMissing(
        f"the package of {kind} sinks cannot be imported ({error}); expected it: {install_advice(kind)}"
    )
