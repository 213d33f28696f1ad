"""Sink that writes each verdict into holding registers of a Modbus/TCP server.

=========  ==================================================================================================
register   content, big-endian, high word first
=========  ==================================================================================================
+0         counter of verdicts, 1 to 65535, then 1 again; written after all others, so read them when it changes
+1         label: 0 none yet, 1 normal, 2 anomalous, 3 undecided
+2, +3     score, float32; NaN for an undecided frame
+4, +5     number of the frame, uint32, modulo 2^32
+6         1 if the verdict may have been written before, else 0
+7         age of the verdict when it is written, in tenths of a second; 65535 or more is 65535
+8         state of the station: 0 stopped, 1 running, 2 waiting for its source
+9         heartbeat, rises about once a second while the program runs, 0 to 65535, then 0 again
=========  ==================================================================================================

A reconnection continues the counter from the register.
"""

from __future__ import annotations

import logging
import math
import struct
import time
from collections.abc import Callable
from datetime import timezone
from typing import Any

from anomedge.errors import InputError
from anomedge.station.sinks._urls import SinkUrl, has_scheme, parsed_url
from anomedge.station.sinks._verdicts import (
    LABEL_CODES,
    STATE_CODES,
    Verdict,
    state_of,
    verdict_of,
)
from anomedge.station.sinks.base import (
    Event,
    Sink,
    SinkDown,
    missing_package,
)

__all__ = ["ModbusSink"]

_LENGTH = 10
_LABEL, _STATE, _HEARTBEAT = 1, 8, 9
_TIMEOUT = 3.0
"""Timeout of the connection and of each answer, in seconds."""


class ModbusSink(Sink):
    """Ten holding registers from a stated address; the server's answers confirm a verdict. See the module.

    Events other than verdicts and changes of the state are not written.

    Args:
        address: modbus://HOST:PORT/REGISTER, with the register counted from 0; `?unit=N` for another unit than 1.
        timeout: of the connection and of each answer, in seconds.

    Raises:
        InputError: the URL cannot be used.
        RuntimeMissing: pymodbus is not installed.
    """

    name = "modbus"
    address_help = "modbus://HOST/REGISTER"

    def __init__(self, address: str, *, timeout: float = _TIMEOUT) -> None:
        self._url = parsed_url(address, {"modbus": 502}, ("unit",))
        self._register = _number(
            self._url, self._url.path.removeprefix("/"), 65536 - _LENGTH
        )
        self._unit = _number(self._url, self._url.options.get("unit", "1"), 255)
        self.title = f"{self._url.title}?unit={self._unit}"
        self._timeout = timeout
        self._failures, self._client_class = _load_pymodbus()
        self._client: Any = None
        self._counter = self._heartbeat = 0
        self._state = "stopped"

    @classmethod
    def accepts(cls, address: str) -> bool:
        """Return whether the address is a modbus URL."""
        return has_scheme(address, "modbus")

    @classmethod
    def open(cls, address: str) -> ModbusSink:
        """Return the sink of registers."""
        return cls(address)

    def send(self, event: Event) -> None:
        """Write a verdict or a state.

        Raises:
            SinkDown: no connection, no answer, or a refusal.
        """
        verdict, state = verdict_of(event), state_of(event)
        if verdict is None and state is None:
            return
        client = self._connected()
        self._state = state or self._state
        if verdict is None:
            code = STATE_CODES[self._state]
            self._ask(client.write_register, _STATE, code)
            return
        counter = self._counter % 65535 + 1
        words = _words(verdict, self._state)
        self._ask(client.write_registers, _LABEL, words)
        self._ask(client.write_register, 0, counter)
        self._counter = counter

    def idle(self) -> None:
        """Write the heartbeat.

        Raises:
            SinkDown: as in `send`.
        """
        client = self._connected()
        self._heartbeat = (self._heartbeat + 1) % 65536
        self._ask(client.write_register, _HEARTBEAT, self._heartbeat)

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connected(self) -> Any:
        if self._client is not None:
            return self._client
        client = self._client_class(
            self._url.host,
            port=self._url.port,
            timeout=self._timeout,
            retries=0,
        )
        if not client.connect():
            raise SinkDown("no connection", sent=False)
        self._client = client
        try:
            found = self._ask(client.read_holding_registers, 0)
        except SinkDown as down:
            raise SinkDown(str(down), sent=False) from down
        self._counter = found.registers[0]
        return client

    def _ask(
        self, request: Callable[..., Any], offset: int, *values: Any
    ) -> Any:
        """Send a request about the register at an offset; return the answer."""
        place = self._register + offset
        try:
            answer = request(place, *values, device_id=self._unit)
        except (self._failures, OSError) as error:
            self.close()
            raise SinkDown(f"no answer ({error})") from error
        if answer.isError():
            self.close()
            raise SinkDown(f"register {place} is refused ({answer})")
        return answer


def _words(verdict: Verdict, state: str) -> list[int]:
    """Return the registers from the label to the state."""
    packed = struct.pack(
        ">HfIHHH",
        LABEL_CODES[verdict.label],
        _in_float32(verdict.score),
        verdict.number % 2**32,
        verdict.repeated,
        _age(verdict),
        STATE_CODES[state],
    )
    return list(struct.unpack(">8H", packed))


def _age(verdict: Verdict) -> int:
    """Return the time since the capture in tenths of a second, from 0 to 65535."""
    taken = verdict.time.replace(tzinfo=timezone.utc).timestamp()
    return int(min(max(10 * (time.time() - taken), 0), 65535))


def _in_float32(value: float) -> float:
    """Return a value that float32 can hold; infinity in place of larger ones."""
    try:
        struct.pack(">f", value)
    except OverflowError:
        return math.copysign(math.inf, value)
    return value


def _number(url: SinkUrl, text: str, largest: int) -> int:
    if text.isascii() and text.isdecimal() and int(text) <= largest:
        return int(text)
    raise InputError(
        f"got {text[:20]!r} in --sink {url.title}; expected a number up to {largest}: modbus://HOST/REGISTER?unit=N"
    )


def _load_pymodbus() -> tuple[type[Exception], Any]:
    """Return the base class of its errors, and its client."""
    try:
        from pymodbus.client import ModbusTcpClient
        from pymodbus.exceptions import ModbusException
    except ImportError as error:
        raise missing_package("modbus", error) from error
    # Lost connections are in the lines; its own reports would fill stderr.
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    return ModbusException, ModbusTcpClient
