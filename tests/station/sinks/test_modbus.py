"""Verdicts reach the registers of a real server, which goes down and comes back."""

import asyncio
import json
import math
import socket
import struct
import threading
from contextlib import contextmanager
from datetime import datetime, timezone

import pytest

from anomedge.errors import InputError
from anomedge.station.delivery import Delivery, RetryRule
from anomedge.station.sinks import open_sink
from anomedge.station.sinks._verdicts import verdict_of
from anomedge.station.sinks.base import SinkDown
from anomedge.station.sinks.modbus import ModbusSink, _age
from anomedge.station.spool import Spool
from tests.station.sinks.events import frame, undecided, until

pytest.importorskip("pymodbus")
FIRST = 100


class ModbusServer:
    """pymodbus' server in a thread of its own; `registers` are its first holding registers."""

    def __init__(self, port):
        self.port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._ready = threading.Event()

    def _run(self):
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self):
        from pymodbus.server import ModbusTcpServer
        from pymodbus.simulator import DataType, SimData, SimDevice

        words = SimData(0, values=[0] * 200, datatype=DataType.REGISTERS)
        self.server = ModbusTcpServer(
            SimDevice(1, simdata=[words]), address=("127.0.0.1", self.port)
        )
        await self.server.serve_forever(background=True)
        self._ready.set()
        await self.server.serving

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_):
        future = asyncio.run_coroutine_threadsafe(
            self.server.shutdown(), self._loop
        )
        future.result(10)
        self._thread.join(10)

    @property
    def registers(self):
        from pymodbus.client import ModbusTcpClient

        with ModbusTcpClient("127.0.0.1", port=self.port) as client:
            answer = client.read_holding_registers(FIRST, count=10)
        return answer.registers


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextmanager
def served():
    with ModbusServer(free_port()) as server:
        sink = open_sink(f"modbus://127.0.0.1:{server.port}/{FIRST}")
        try:
            yield server, sink
        finally:
            sink.close()


def words(kind, value):
    return list(struct.unpack(">2H", struct.pack(f">{kind}", value)))


def test_registers_are_those_of_the_table():
    with served() as (server, sink):
        sink.send({"event": "started"})
        assert server.registers == [0] * 8 + [1, 0]
        sink.send(frame(70000))
        expected = [1, 2, *words("f", 1.5), *words("I", 70000), 0, 65535, 1, 0]
        assert server.registers == expected
        sink.send(undecided(2) | {"repeated": True})
        counter, label, *rest = server.registers
        assert (counter, label, rest[2:]) == (2, 3, [0, 2, 1, 65535, 1, 0])
        assert math.isnan(struct.unpack(">f", struct.pack(">2H", *rest[:2]))[0])
        sink.send({"event": "error", "name": "a", "message": "--on-fail"})
        sink.send({"event": "waiting"})
        sink.idle()
        assert server.registers[:2] + server.registers[8:] == [2, 3, 2, 1]
        sink.send({"event": "stopped"})
        assert server.registers[8] == 0


@pytest.mark.parametrize(
    ("seconds", "tenths"), [(-5, 0), (0.0, 0), (2.05, 20), (1e9, 65535)]
)
def test_the_age_of_a_verdict(seconds, tenths, monkeypatch):
    taken = datetime(2026, 11, 27, tzinfo=timezone.utc)
    verdict = verdict_of(frame(time=taken.isoformat()))
    monkeypatch.setattr("time.time", lambda: taken.timestamp() + seconds)
    assert _age(verdict) == tenths


def test_a_score_beyond_float32_is_infinite():
    with served() as (server, sink):
        sink.send(frame(1, score=-1e300))
        assert server.registers[2:4] == words("f", -math.inf)


def test_the_counter_goes_on_after_a_reconnection_and_skips_0():
    with served() as (server, sink):
        sink.send(frame(1))
        sink.close()
        sink.send(frame(2))
        assert server.registers[0] == 2
        sink._counter = 65535
        sink.send(frame(3))
        assert server.registers[0] == 1


def test_a_refused_register_is_down():
    with ModbusServer(free_port()) as server:
        sink = open_sink(f"modbus://127.0.0.1:{server.port}/194")
        with pytest.raises(SinkDown, match="register 195 is refused"):
            sink.send(frame(1))
        sink.close()


def test_a_server_that_does_not_answer_is_down():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        sink = ModbusSink(f"modbus://127.0.0.1:{port}/0", timeout=0.05)
        with pytest.raises(SinkDown, match="no answer") as down:
            sink.send(frame(1))
        assert not down.value.sent
    with pytest.raises(SinkDown, match="no connection"):
        sink.send(frame(1))


def test_nothing_is_lost_while_the_server_is_down(tmp_path):
    port, said = free_port(), []
    delivery = Delivery(
        open_sink(f"modbus://127.0.0.1:{port}/{FIRST}"),
        Spool(tmp_path / "a.spool", 10**6),
        lambda event, fields: said.append(fields["state"]),
        RetryRule(first=0.01, longest=0.02, idle=0.01),
    )
    delivery.start()
    for number in (1, 3):
        until(lambda: said[-1:] == ["down"])
        delivery.spool.put(json.dumps(frame(number)))
        delivery.spool.put(json.dumps(frame(number + 1)))
        with ModbusServer(port) as server:
            until(lambda: not len(delivery.spool))
            assert server.registers[0] == 2
            assert server.registers[4:6] == words("I", number + 1)
            until(lambda: server.registers[9] > 1)
    delivery.finish(0)
    assert delivery.delivered == 4
    assert said[:4] == ["down", "up", "down", "up"]


@pytest.mark.parametrize(
    "address",
    [
        "modbus://host",
        "modbus://host/x",
        "modbus://host/65527",
        "modbus://host/0?unit=256",
        "modbus://host/0?unit=-1",
    ],
)
def test_wrong_addresses_are_refused(address):
    with pytest.raises(InputError, match="expected a number up to"):
        open_sink(address)
