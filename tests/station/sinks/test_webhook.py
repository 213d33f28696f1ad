"""Events are posted to a real server, which goes down and comes back."""

import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from anomedge.errors import InputError
from anomedge.station.delivery import Delivery, RetryRule
from anomedge.station.sinks import open_sink
from anomedge.station.sinks.base import SinkDown
from anomedge.station.sinks.webhook import WebhookSink
from anomedge.station.spool import Spool
from tests.station.sinks.events import frame, until


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        size = int(self.headers["Content-Length"])
        event = json.loads(self.rfile.read(size))
        self.server.got.append((self.path, dict(self.headers), event))
        self.send_response(self.server.status)
        if self.server.status == 302:
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def web_server(port=0):
    """A server on the loopback; `got` has its requests."""
    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.got, server.status = [], 204
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def address(server, path="/hook?a=1"):
    return f"http://127.0.0.1:{server.server_address[1]}{path}"


def test_an_event_is_posted_as_json_with_its_identifier():
    with web_server() as server:
        open_sink(address(server)).send(frame(1))
    ((path, headers, event),) = server.got
    assert (path, event) == ("/hook?a=1", frame(1))
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == "run-1"
    assert "Authorization" not in headers


def test_credentials_come_from_the_url_or_the_environment(monkeypatch):
    with web_server() as server:
        url = address(server, "/").replace("//", "//me:p%40ss@")
        sink = open_sink(url)
        assert "me" not in sink.title
        sink.send(frame(1))
        monkeypatch.setenv("ANOMEDGE_WEBHOOK_TOKEN", "token")
        open_sink(address(server)).send(frame(1))
    found = [headers["Authorization"] for _, headers, _ in server.got]
    assert found == ["Basic bWU6cEBzcw==", "Bearer token"]


@pytest.mark.parametrize("status", [302, 400, 500])
def test_another_status_is_no_confirmation(status):
    with web_server() as server:
        server.status = status
        with pytest.raises(SinkDown, match=f"got the status {status}") as down:
            open_sink(address(server)).send(frame(1))
    assert down.value.sent


def test_a_server_that_refuses_or_hangs_up_or_is_silent_is_down():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        sink = WebhookSink(f"http://127.0.0.1:{port}/", timeout=0.05)
        with pytest.raises(SinkDown, match="no answer") as down:
            sink.send(frame(1))
        assert down.value.sent
    with pytest.raises(SinkDown, match="no connection") as down:
        sink.send(frame(1))
    assert not down.value.sent


@pytest.mark.parametrize(
    "url", ["http://host/a b", "http://host/é", "http:///", "http://host:x/"]
)
def test_wrong_urls_are_refused(url):
    with pytest.raises(InputError):
        open_sink(url)


def test_nothing_is_lost_while_the_server_is_down(tmp_path):
    with web_server() as server:
        port = server.server_address[1]
    sink = open_sink(f"http://127.0.0.1:{port}/")
    said = []
    delivery = Delivery(
        sink,
        Spool(tmp_path / "a.spool", 10**6),
        lambda event, fields: said.append(fields["state"]),
        RetryRule(first=0.01, longest=0.02),
    )
    delivery.start()
    got = []
    for number in (1, 2):
        delivery.spool.put(json.dumps(frame(number)))
        until(lambda: said[-1:] == ["down"])
        with web_server(port) as server:
            until(lambda: len(server.got) == 1)
            until(lambda: said[-1:] == ["up"])
        got += server.got
    delivery.finish(0)
    assert [event for _, _, event in got] == [frame(1), frame(2)]
