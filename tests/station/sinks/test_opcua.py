"""Verdicts reach the variables of a real server, which goes down and comes back."""

import json
import math
import socket
from contextlib import contextmanager
from datetime import datetime

import pytest

from anomedge.errors import InputError
from anomedge.station.delivery import Delivery, RetryRule
from anomedge.station.sinks import open_sink
from anomedge.station.sinks.base import SinkDown
from anomedge.station.sinks.opcua import VARIABLES, OpcUaSink
from anomedge.station.spool import Spool
from tests.station.sinks.events import frame, undecided, until

asyncua = pytest.importorskip("asyncua")
FIRST_VALUES = {
    "String": "",
    "Boolean": False,
    "DateTime": datetime(1970, 1, 1),
    "UInt32": 41,
    "Double": 0.0,
}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class OpcUaServer:
    """asyncua's server; it takes seconds to make, so one is for all tests."""

    def __init__(self, loop):
        from asyncua import sync, ua

        self._ua, self._nodes = ua, {}
        self.port = free_port()
        self.server = sync.Server(tloop=loop)
        self.server.set_endpoint(f"opc.tcp://127.0.0.1:{self.port}/")
        self.server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        self.server.register_namespace("urn:test")

    def add(self, station, types):
        """Add the variables of a node; return the address of its sink."""
        for name, kind in types.items():
            node = self.server.nodes.objects.add_variable(
                f"ns=2;s={station}.{name}",
                name,
                FIRST_VALUES[kind],
                getattr(self._ua.VariantType, kind),
            )
            node.set_writable()
            self._nodes[station, name] = node
        return f"opc.tcp://127.0.0.1:{self.port}/?node=ns=2;s={station}"

    def read(self, station, *names):
        """Return values of variables."""
        return [self._nodes[station, name].read_value() for name in names]

    @contextmanager
    def running(self):
        """Answer clients."""
        self.server.start()
        try:
            yield
        finally:
            self.server.stop()


@pytest.fixture(scope="module")
def opcua():
    from asyncua import sync

    with sync.ThreadLoop() as loop:
        yield OpcUaServer(loop)


def test_variables_are_those_of_the_table(opcua):
    sink = open_sink(opcua.add("All", VARIABLES))
    with opcua.running():
        sink.idle()
        sink.send(frame(7))
        found = dict(zip(VARIABLES, opcua.read("All", *VARIABLES), strict=True))
        # Releases differ in the time zone that they add.
        moment = found.pop("time").replace(tzinfo=None)
        assert moment == datetime(2001, 11, 27, 2, 44, 22, 881000)
        assert found == {
            "heartbeat": 1,
            "state": "running",
            "repeated": False,
            "id": "run-7",
            "number": 7,
            "name": "7.png",
            "score": 1.5,
            "label": "anomalous",
            "count": 42,
        }
        sink.send(undecided(8) | {"repeated": True})
        score, *others = opcua.read("All", "score", "label", "repeated", "count")  # fmt: skip
        assert math.isnan(score)
        assert others == ["undecided", True, 43]
        sink.idle()
        sink.send({"event": "waiting"})
        sink.send({"event": "error", "name": "a", "message": "--on-fail"})
        assert opcua.read("All", "state", "count") == ["waiting", 43]
        sink.close()


def test_some_variables_suffice_and_wrong_ones_are_named(opcua):
    some = {"label": "String", "count": "UInt32"}
    sink = open_sink(opcua.add("Some", some))
    wrong = open_sink(opcua.add("Wrong", some | {"score": "Boolean"}))
    missing = open_sink(opcua.add("Missing", {}))
    with opcua.running():
        sink.send(frame(1))
        sink.send({"event": "stopped"})
        sink.close()
        assert opcua.read("Some", "label", "count") == ["anomalous", 42]
        with pytest.raises(SinkDown, match="no variable ns=2;s=Missing"):
            missing.send(frame(1))
        with pytest.raises(SinkDown, match=r"score is refused .*Double"):
            wrong.send(frame(1))


def test_nothing_is_lost_while_the_server_is_down(opcua, tmp_path):
    said = []
    delivery = Delivery(
        open_sink(opcua.add("Station", VARIABLES)),
        Spool(tmp_path / "a.spool", 10**6),
        lambda event, fields: said.append(fields["state"]),
        RetryRule(first=0.01, longest=0.05, idle=0.02),
    )
    delivery.start()
    for number in (1, 3):
        delivery.spool.put(json.dumps(frame(number)))
        until(lambda: said[-1:] == ["down"])
        delivery.spool.put(json.dumps(frame(number + 1)))
        with opcua.running():
            until(lambda: said[-1:] == ["up"] and not len(delivery.spool))
            found = opcua.read("Station", "id", "count", "repeated")
            assert found == [f"run-{number + 1}", 42 + number, False]
    delivery.finish(0)
    assert delivery.delivered == 4


def test_a_server_that_does_not_answer_is_down():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        sink = OpcUaSink(
            f"opc.tcp://127.0.0.1:{port}/?node=s=Station", timeout=0.05
        )
        with pytest.raises(SinkDown, match="no connection") as down:
            sink.send(frame(1))
        assert not down.value.sent


@pytest.mark.parametrize("node", ["", "?node=", "?node=ns=2;i=5", "?node=ns=x;s=A"])  # fmt: skip
def test_wrong_nodes_are_refused(node):
    with pytest.raises(InputError, match="expected a string identifier"):
        open_sink(f"opc.tcp://host{node}")
