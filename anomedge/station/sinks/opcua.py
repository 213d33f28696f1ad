"""Sink that writes each verdict into variables of an OPC UA server.

For the node `ns=2;s=Station`, the variables are `ns=2;s=Station.count` and so on:

=========  ========  =================================================================================
variable   type      content
=========  ========  =================================================================================
count      UInt32    rises by 1 with each verdict; written after all others, in the same request
label      String    "normal", "anomalous" or "undecided"
score      Double    NaN for an undecided frame
name       String    of the frame
number     UInt32    of the frame
time       DateTime  of capture, UTC
id         String    identifier of the event
repeated   Boolean   the verdict may have been written before
state      String    of the station: "running", "waiting" (for its source) or "stopped"
heartbeat  UInt32    rises about once a second while the program runs
=========  ========  =================================================================================

`count` and `label` are needed; the others are written if the server has them. A reconnection continues `count` from the
server's value.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

from anomedge.errors import InputError
from anomedge.station.sinks._urls import SinkUrl, has_scheme, parsed_url
from anomedge.station.sinks._verdicts import Verdict, state_of, verdict_of
from anomedge.station.sinks.base import (
    Event,
    Sink,
    SinkDown,
    missing_package,
)

__all__ = ["VARIABLES", "OpcUaSink"]

VARIABLES = {
    "heartbeat": "UInt32",
    "state": "String",
    "repeated": "Boolean",
    "id": "String",
    "time": "DateTime",
    "number": "UInt32",
    "name": "String",
    "score": "Double",
    "label": "String",
    "count": "UInt32",
}
"""Types of the variables, in the order in which they are written."""
_NEEDED = ("label", "count")
_TIMEOUT = 4.0
"""Timeout of each request, in seconds."""


class OpcUaSink(Sink):
    """Variables of one node; the server's status codes confirm a verdict. See the module.

    User and password come from the URL or from ANOMEDGE_OPCUA_USER and ANOMEDGE_OPCUA_PASSWORD. Messages are not encrypted.
    Events other than verdicts and changes of the state are not written.

    Args:
        address: opc.tcp://HOST:PORT/PATH?node=ID with a string node identifier.
        timeout: of each request, in seconds.

    Raises:
        InputError: the URL cannot be used.
        RuntimeMissing: asyncua is not installed.
    """

    name = "opcua"
    address_help = "opc.tcp://HOST?node=ns=2;s=NAME"

    def __init__(self, address: str, *, timeout: float = _TIMEOUT) -> None:
        self._url = parsed_url(
            address, {"opc.tcp": 4840}, ("node",), "ANOMEDGE_OPCUA"
        )
        self._node = _node_of(self._url)
        self.title = f"{self._url.title}?node={self._node}"
        self._timeout = timeout
        self._ua, self._sync = _load_asyncua()
        self._client: Any = None
        self._nodes: dict[str, Any] = {}
        self._count = self._heartbeat = 0
        self._state = "running"

    @classmethod
    def accepts(cls, address: str) -> bool:
        """Return whether the address is an opc.tcp URL."""
        return has_scheme(address, "opc.tcp")

    @classmethod
    def open(cls, address: str) -> OpcUaSink:
        """Return the sink of a node."""
        return cls(address)

    def send(self, event: Event) -> None:
        """Write a verdict or a state.

        Raises:
            SinkDown: no connection, no answer, a missing variable, or a refusal.
        """
        verdict, state = verdict_of(event), state_of(event)
        if verdict is None and state is None:
            return
        self._connect()
        self._state = state or self._state
        if verdict is None:
            self._write({"state": self._state})
            return
        count = (self._count + 1) % 2**32
        self._write(_values(verdict, self._state, count))
        self._count = count

    def idle(self) -> None:
        """Write the heartbeat, if the server has it, and check the connection.

        Raises:
            SinkDown: as in `send`.
        """
        self._connect()
        self._heartbeat = (self._heartbeat + 1) % 2**32
        self._write({"heartbeat": self._heartbeat})
        try:
            self._nodes["count"].read_value()
        except Exception as error:
            self.close()
            raise SinkDown(f"no answer ({_reason(error)})") from error

    def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        self._nodes = {}
        if client is not None:
            # The server may be gone, which the client reports in many ways.
            with suppress(Exception):
                client.disconnect()
            client.tloop.stop()

    def _connect(self) -> None:
        if self._client is not None:
            return
        # Its thread must not keep the program from ending.
        loop = self._sync.ThreadLoop(timeout=4 * self._timeout)
        loop.daemon = True
        loop.start()
        path = self._url.title.partition("://")[2].partition("/")[2]
        url = f"opc.tcp://{self._url.host_and_port}/{path}"
        self._client = self._sync.Client(url, timeout=self._timeout, tloop=loop)
        if self._url.user is not None:
            self._client.set_user(self._url.user)
            self._client.set_password(self._url.password)
        try:
            self._client.connect()
            self._find_variables()
        except SinkDown:
            self.close()
            raise
        except Exception as error:
            self.close()
            reason = f"no connection ({_reason(error)})"
            raise SinkDown(reason, sent=False) from error

    def _find_variables(self) -> None:
        for name in VARIABLES:
            node = self._client.get_node(f"{self._node}.{name}")
            try:
                node.read_node_class()
            except self._ua.UaStatusCodeError as error:
                if name in _NEEDED:
                    raise SinkDown(
                        f"no variable {self._node}.{name} ({_reason(error)}); create it on the server",
                        sent=False,
                    ) from error
                continue
            self._nodes[name] = node
        found = self._nodes["count"].read_value()
        self._count = found if isinstance(found, int) else 0

    def _write(self, values: dict[str, Any]) -> None:
        """Write variables in one request, in the order of `VARIABLES`."""
        names = [n for n in VARIABLES if n in values and n in self._nodes]
        if not names:
            return
        nodes = [self._nodes[name] for name in names]
        stated = [self._data_value(name, values[name]) for name in names]
        try:
            results = self._client.write_values(
                nodes, stated, raise_on_partial_error=False
            )
        except Exception as error:
            self.close()
            raise SinkDown(f"no answer ({_reason(error)})") from error
        for name, result in zip(names, results, strict=True):
            if not result.is_good():
                self.close()
                raise SinkDown(
                    f"{self._node}.{name} is refused ({result.name}); expected a writable {VARIABLES[name]}"
                )

    def _data_value(self, name: str, value: Any) -> Any:
        # Without time stamps, which some servers refuse.
        kind = getattr(self._ua.VariantType, VARIABLES[name])
        return self._ua.DataValue(self._ua.Variant(value, kind))


def _values(verdict: Verdict, state: str, count: int) -> dict[str, Any]:
    return {
        "state": state,
        "repeated": verdict.repeated,
        "id": verdict.identifier,
        "time": verdict.time,
        "number": verdict.number % 2**32,
        "name": verdict.name,
        "score": verdict.score,
        "label": verdict.label,
        "count": count,
    }


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _node_of(url: SinkUrl) -> str:
    node = url.options.get("node", "")
    space, _, name = node.rpartition("s=")
    stated = space.removeprefix("ns=").removesuffix(";")
    if name and (space == "" or (stated.isascii() and stated.isdecimal())):
        return node
    raise InputError(
        f"got ?node={node[:80]} in --sink {url.title}; expected a string identifier such as ns=2;s=Station"
    )


def _load_asyncua() -> tuple[Any, Any]:
    """Return its modules of types and of the client."""
    try:
        from asyncua import sync, ua
    except ImportError as error:
        raise missing_package("opcua", error) from error
    # Lost connections are in the lines; its own reports would fill stderr.
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    return ua, sync
