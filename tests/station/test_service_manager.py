"""Messages of sd_notify to a real datagram socket."""

import os
import socket

import pytest

from anomedge.station.service_manager import ServiceManager

pytestmark = pytest.mark.skipif(
    not hasattr(socket, "AF_UNIX"), reason="needs sockets of the file system"
)


@pytest.fixture(params=["path", "abstract"])
def listener(request, tmp_path):
    """A bound socket and its address as in NOTIFY_SOCKET."""
    name = str(tmp_path / "notify")
    if request.param == "abstract":
        name = f"@anomedge-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(name.replace("@", "\0") if name[0] == "@" else name)
        bound.setblocking(False)
        yield bound, name


def received(bound):
    """The messages that arrived."""
    found = []
    while True:
        try:
            found.append(bound.recv(100).decode())
        except BlockingIOError:
            return found


def test_ready_alive_and_stopping_arrive(listener):
    bound, name = listener
    environment = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "3000000"}
    service = ServiceManager(environment)
    service.ready()
    service.alive()
    service.stopping()
    assert received(bound) == ["READY=1", "WATCHDOG=1", "STOPPING=1"]


def test_a_sign_of_life_comes_twice_within_the_allowed_time(listener):
    bound, name = listener
    clock = [0.0]
    environment = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "3000000"}
    service = ServiceManager(environment, lambda: clock[0])
    arrived = []
    for clock[0] in (0.0, 1.4, 1.5, 2.9, 3.1, 9.0):
        service.alive()
        arrived.append(len(received(bound)))
    assert arrived == [1, 0, 1, 0, 1, 1]


@pytest.mark.parametrize(
    ("environment", "interval"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_interval_is_half_of_the_allowed_time(environment, interval):
    assert ServiceManager(environment).interval == interval


def test_without_a_watchdog_there_is_no_sign_of_life(listener):
    bound, name = listener
    service = ServiceManager({"NOTIFY_SOCKET": name})
    service.alive()
    assert received(bound) == []


@pytest.mark.parametrize("address", ["", "vsock:2:1", "relative"])
def test_without_a_service_manager_nothing_happens(address):
    service = ServiceManager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2"})
    service.ready()
    service.alive()
    service.stopping()


def test_a_socket_that_is_gone_is_a_warning_and_no_error(tmp_path):
    environment = {
        "NOTIFY_SOCKET": str(tmp_path / "gone"),
        "WATCHDOG_USEC": "2",
    }
    service = ServiceManager(environment)
    with pytest.warns(UserWarning, match="NOTIFY_SOCKET"):
        service.ready()
    service.alive()
    service.stopping()
