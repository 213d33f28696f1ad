"""Events reach a real broker, which goes down and comes back."""

import json
import shutil
import socket
import subprocess
import threading
from contextlib import contextmanager

import pytest

from anomedge.errors import InputError
from anomedge.station.delivery import Delivery, RetryRule
from anomedge.station.sinks import open_sink
from anomedge.station.sinks.base import SinkDown
from anomedge.station.sinks.mqtt import MqttSink
from anomedge.station.spool import Spool
from tests.station.sinks.events import frame, until

paho = pytest.importorskip("paho.mqtt.client")
BROKER = shutil.which("mosquitto") or shutil.which(
    "mosquitto", path="/usr/sbin:/usr/local/sbin"
)
needs_broker = pytest.mark.skipif(
    BROKER is None, reason="mosquitto is not installed"
)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def broker(folder, port, *settings):
    """A broker that keeps the sessions of its clients in a folder."""
    lines = [
        f"listener {port} 127.0.0.1",
        "persistence true",
        f"persistence_location {folder}/",
        "user root",
        *(settings or ["allow_anonymous true"]),
    ]
    (folder / "broker.conf").write_text("\n".join(lines) + "\n")
    process = subprocess.Popen(
        [BROKER, "-c", folder / "broker.conf"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: answers(port))
        yield
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def subscriber(port):
    """The messages that a client with a lasting session gets."""
    got, subscribed = [], threading.Event()
    client = paho.Client(
        paho.CallbackAPIVersion.VERSION2, "reader", clean_session=False
    )
    client.on_connect = lambda *_: client.subscribe("line/#", qos=1)
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda _, __, message: got.append(
        (message.topic, json.loads(message.payload))
    )
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert subscribed.wait(10)
    try:
        yield got
    finally:
        client.disconnect()
        client.loop_stop()


@needs_broker
def test_an_event_is_a_message_of_its_topic(tmp_path):
    port = free_port()
    with broker(tmp_path, port), subscriber(port) as got:
        sink = open_sink(f"mqtt://127.0.0.1:{port}/line/1")
        sink.send(frame(1))
        sink.send(frame(2))
        until(lambda: len(got) == 2)
        sink.close()
    assert got == [("line/1", frame(1)), ("line/1", frame(2))]


@needs_broker
def test_credentials_are_those_of_the_environment(tmp_path, monkeypatch):
    passwords = tmp_path / "passwords"
    program = shutil.which("mosquitto_passwd")
    if program is None:
        pytest.skip("mosquitto_passwd is not installed")
    subprocess.run([program, "-b", "-c", passwords, "me", "secret"], check=True)
    port = free_port()
    address = f"mqtt://127.0.0.1:{port}/line/1"
    with broker(
        tmp_path, port, "allow_anonymous false", f"password_file {passwords}"
    ):
        with pytest.raises(SinkDown, match=r"(?i)not authori[sz]ed") as down:
            open_sink(address).send(frame(1))
        assert not down.value.sent
        monkeypatch.setenv("ANOMEDGE_MQTT_USER", "me")
        monkeypatch.setenv("ANOMEDGE_MQTT_PASSWORD", "secret")
        sink = open_sink(address)
        sink.send(frame(1))
        sink.close()


def ids_of(received):
    return [event["id"] for _, event in received]


@needs_broker
def test_nothing_is_lost_while_the_broker_is_down(tmp_path):
    port, said, got = free_port(), [], []
    with broker(tmp_path, port), subscriber(port):
        pass  # The broker keeps the subscription from now on.
    delivery = Delivery(
        open_sink(f"mqtt://127.0.0.1:{port}/line/1"),
        Spool(tmp_path / "a.spool", 10**6),
        lambda event, fields: said.append(fields["state"]),
        RetryRule(first=0.01, longest=0.02),
    )
    delivery.start()
    for number in (1, 3):
        delivery.spool.put(json.dumps(frame(number)))
        until(lambda: said[-1:] == ["down"])
        delivery.spool.put(json.dumps(frame(number + 1)))
        last = f"run-{number + 1}"
        with broker(tmp_path, port), subscriber(port) as found:
            until(lambda last=last: last in ids_of(found))
            until(lambda: said[-1:] == ["up"])
        got += found
    delivery.finish(0)
    # A broker repeats what a subscriber had not confirmed when it ended.
    assert list(dict.fromkeys(ids_of(got))) == [
        f"run-{n}" for n in (1, 2, 3, 4)
    ]
    assert said == ["down", "up", "down", "up"]


def test_a_server_that_does_not_answer_is_down():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        sink = MqttSink(f"mqtt://127.0.0.1:{port}/a", timeout=0.05)
        with pytest.raises(SinkDown, match="no connection") as down:
            sink.send(frame(1))
        assert not down.value.sent
    with pytest.raises(SinkDown, match="no connection"):
        sink.send(frame(1))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mqtt://host", "got the topic ''"),
        ("mqtt://host/line/%23", "without \\+ and #"),
        ("mqtt://host/line/+/a", "without \\+ and #"),
        ("mqtt://host/a?ca=x", "expected mqtts"),
        ("mqtts://host/a?ca=missing.pem", "PEM file"),
    ],
)
def test_wrong_addresses_are_refused(address, said):
    with pytest.raises(InputError, match=said):
        open_sink(address)


def test_tls_checks_the_broker():
    sink = open_sink("mqtts://host/a")
    assert sink._tls.check_hostname
    assert sink._url.port == 8883
