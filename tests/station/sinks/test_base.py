"""Laws of all sinks: names, addresses, missing packages."""

import sys

import pytest

from anomedge.errors import RuntimeMissing
from anomedge.station.sinks import SINKS, open_sink
from anomedge.station.sinks.base import SinkDown

ADDRESSES = {
    "csv": "a.csv",
    "jsonl": "a.jsonl",
    "modbus": "modbus://host/100",
    "mqtt": "mqtt://host/topic",
    "opcua": "opc.tcp://host:4840/path?node=ns=2;s=Station",
    "sqlite": "a.sqlite",
    "webhook": "http://host/path",
}
PACKAGES = {"modbus": "pymodbus", "mqtt": "paho", "opcua": "asyncua"}


def test_every_sink_has_a_case():
    assert list(ADDRESSES) == SINKS.names()


@pytest.mark.parametrize("name", ADDRESSES)
def test_one_sink_accepts_each_address(name):
    members = SINKS.members().items()
    accepting = [n for n, kind in members if kind.accepts(ADDRESSES[name])]
    assert accepting == [name]
    assert SINKS.get(name).address_help


@pytest.mark.parametrize("name", PACKAGES)
def test_a_missing_package_is_named_with_its_extra(name, monkeypatch):
    for module in [m for m in sys.modules if m.startswith(PACKAGES[name])]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, PACKAGES[name], None)
    with pytest.raises(RuntimeMissing, match=rf"pip install '\.\[{name}\]'"):
        open_sink(ADDRESSES[name])


def test_a_failed_delivery_may_have_arrived_unless_stated():
    assert SinkDown("x").sent
    assert not SinkDown("x", sent=False).sent
