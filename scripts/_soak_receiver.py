"""A webhook's receiver that goes down and comes back."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Receiver"]

FAULTS = ("refuses", "fails", "is silent")


class Receiver:
    """Listens on the loopback, on the same port after each pause.

    Attributes:
        got: events that it took, in order.
        unconfirmed: number of events that it took or refused without confirming them; the sender has to mark the next attempt.
        fault: one of `FAULTS`, or None.
    """

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.unconfirmed = 0
        self.fault: str | None = None
        self._port = 0
        self._start()

    @property
    def address(self) -> str:
        """URL to post to."""
        return f"http://127.0.0.1:{self._port}/"

    def break_down(self, fault: str) -> None:
        """Go down in one of the ways of `FAULTS`."""
        self.fault = fault
        if fault == "refuses":
            self.close()

    def come_back(self) -> None:
        """Confirm events again."""
        if self.fault == "refuses":
            self._start()
        self.fault = None

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _start(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                status = receiver.take(self.rfile.read(size))
                if status is not None:
                    self.send_response(status)
                    self.end_headers()

            def log_message(self, *arguments: object) -> None:
                del arguments

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    def take(self, body: bytes) -> int | None:
        """Take an event; return the status, None for no answer."""
        fault = self.fault
        if fault != "fails" and body.endswith(b"}"):
            self.got.append(json.loads(body))
        if fault is None:
            return 204
        self.unconfirmed += 1
        return 500 if fault == "fails" else None
