"""Addresses of network sinks are read strictly, and shown without secrets."""

import pytest

from anomedge.errors import InputError
from anomedge.station.sinks._urls import parsed_url

PORTS = {"mqtt": 1883}


def test_parts_of_a_url():
    url = parsed_url("MQTT://me:p%40ss@host/a%20b?ca=x", PORTS, ("ca",))
    assert (url.scheme, url.host, url.port, url.path) == (
        "mqtt",
        "host",
        1883,
        "/a b",
    )
    assert (url.user, url.password, url.options) == ("me", "p@ss", {"ca": "x"})
    assert url.title == "mqtt://host/a%20b"
    six = parsed_url("mqtt://[::1]:7/a", PORTS)
    assert (six.host, six.host_and_port, six.title) == (
        "::1",
        "[::1]:7",
        "mqtt://[::1]:7/a",
    )


def test_credentials_of_the_environment(monkeypatch):
    monkeypatch.setenv("TRIED_USER", "me")
    monkeypatch.setenv("TRIED_PASSWORD", "secret")
    url = parsed_url("mqtt://host/a", PORTS, variables="TRIED")
    assert (url.user, url.password) == ("me", "secret")
    url = parsed_url("mqtt://you@host/a", PORTS, variables="TRIED")
    assert (url.user, url.password) == ("you", "")
    assert parsed_url("mqtt://host/a", PORTS).user is None


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mqtt:///a", "without a host"),
        ("mqtt://me:secret@host:x/a", "cannot be read"),
        ("mqtt://me:secret@host/a#", "expected it as %23"),
        ("mqtt://me:secret@host/a?b=1", "option 'b'"),
        ("mqtt://me:secret@host/a?b", "cannot be read"),
    ],
)
def test_wrong_urls_are_refused_without_secrets(address, said):
    with pytest.raises(InputError, match=said) as refused:
        parsed_url(address, PORTS, ("ca",))
    assert "secret" not in str(refused.value)
