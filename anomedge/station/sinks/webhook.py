"""Sink that posts each event to a web server."""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
from urllib.parse import urlsplit

from anomedge.errors import InputError
from anomedge.station.sinks._urls import has_scheme, parsed_url
from anomedge.station.sinks.base import Event, Sink, SinkDown

__all__ = ["WebhookSink"]

_PORTS = {"http": 80, "https": 443}
_TIMEOUT = 5.0
"""Timeout of the connection and of each read, in seconds."""
_TOKEN = "ANOMEDGE_WEBHOOK_TOKEN"  # noqa: S105 - the name of a variable
_USER = "ANOMEDGE_WEBHOOK"


class WebhookSink(Sink):
    """A POST of the JSON object; a status from 200 to 299 confirms it.

    Each event has a connection of its own, so that no server closes one in between. Redirections are not followed: they
    could lead to another host or away from TLS. The header `Idempotency-Key` holds the identifier. User and password
    (HTTP Basic) come from the URL or from ANOMEDGE_WEBHOOK_USER and ANOMEDGE_WEBHOOK_PASSWORD, a bearer token from
    ANOMEDGE_WEBHOOK_TOKEN.

    Args:
        address: http or https URL.
        timeout: of the connection and of each read, in seconds.

    Raises:
        InputError: the URL cannot be used.
    """

    name = "webhook"
    address_help = "http://HOST/PATH or https://HOST/PATH"

    def __init__(self, address: str, *, timeout: float = _TIMEOUT) -> None:
        query = urlsplit(address).query
        self._url = parsed_url(address.partition("?")[0], _PORTS, (), _USER)
        self.title = self._url.title
        path = urlsplit(address).path or "/"
        self._target = f"{path}?{query}" if query else path
        if not all("!" <= c <= "~" for c in self._target):
            raise InputError(
                f"got --sink {self.title} with a space or a letter that is not ASCII; expected it percent-encoded"
            )
        self._timeout = timeout
        self._tls = (
            ssl.create_default_context()
            if self._url.scheme == "https"
            else None
        )

    @classmethod
    def accepts(cls, address: str) -> bool:
        """Return whether the address is an http or https URL."""
        return has_scheme(address, "http", "https")

    @classmethod
    def open(cls, address: str) -> WebhookSink:
        """Return the sink of a URL."""
        return cls(address)

    def send(self, event: Event) -> None:
        """Post an event and wait for the status.

        Raises:
            SinkDown: no connection, no answer, or a status other than 200 to 299.
        """
        connection = self._connection()
        try:
            connection.connect()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise SinkDown(f"no connection ({error})", sent=False) from error
        try:
            body = json.dumps(dict(event)).encode()
            connection.request("POST", self._target, body, self._headers(event))
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise SinkDown(f"no answer ({reason})") from error
        finally:
            connection.close()
        if not 200 <= status < 300:
            raise SinkDown(f"got the status {status}; expected 200 to 299")

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._url.host, self._url.port
        if self._tls is None:
            return http.client.HTTPConnection(host, port, timeout=self._timeout)
        return http.client.HTTPSConnection(
            host, port, timeout=self._timeout, context=self._tls
        )

    def _headers(self, event: Event) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "Connection": "close",
            "User-Agent": "anomedge",
            "Idempotency-Key": str(event.get("id", "")),
        }
        token = os.environ.get(_TOKEN)
        if self._url.user is not None:
            pair = f"{self._url.user}:{self._url.password}".encode()
            headers["Authorization"] = (
                f"Basic {base64.b64encode(pair).decode()}"
            )
        elif token:
            headers["Authorization"] = f"Bearer {token}"
        return headers
