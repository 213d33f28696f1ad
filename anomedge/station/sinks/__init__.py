"""Sinks, the receivers of a station's events: one module per kind of sink; installed packages add their own."""

from __future__ import annotations

from anomedge.errors import InputError
from anomedge.registry import Registry
from anomedge.station.sinks.base import Event, Sink, SinkDown

__all__ = ["SINKS", "Event", "Sink", "SinkDown", "open_sink", "sink_forms"]

SINKS: Registry[Sink] = Registry(
    package=__name__, group="anomedge.sinks", kind="sink", base=Sink
)
"""All kinds of sinks."""


def open_sink(address: str) -> Sink:
    """Return the sink of an address.

    Raises:
        InputError: no sink accepts the address, several do, or it cannot be used.
        RuntimeMissing: the sink's package is not installed.
    """
    members = SINKS.members().values()
    accepting = [kind for kind in members if kind.accepts(address)]
    if len(accepting) == 1:
        return accepting[0].open(address)
    if accepting:
        names = " and ".join(kind.name for kind in accepting)
        raise InputError(
            f"got --sink {address}, which the sinks {names} accept; expected one of them: uninstall the other"
        )
    faults = "".join(f"; {fault}" for fault in SINKS.faults().values())
    raise InputError(
        f"got --sink {_shown(address)}; expected {sink_forms()}{faults}"
    )


def sink_forms() -> str:
    """Return the address forms of all sinks, as one sentence part."""
    members = SINKS.members().values()
    return ", ".join(kind.address_help or kind.name for kind in members)


def _shown(address: str) -> str:
    """Return an address without the user name and password that it may have."""
    scheme, separator, rest = address.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
