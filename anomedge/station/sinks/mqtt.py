"""Sink that publishes each event to an MQTT broker."""

from __future__ import annotations

import json
import os
import ssl
import threading
import time
from contextlib import suppress
from typing import Any

from anomedge.errors import InputError
from anomedge.station.sinks._urls import SinkUrl, has_scheme, parsed_url
from anomedge.station.sinks.base import (
    Event,
    Sink,
    SinkDown,
    missing_package,
)

__all__ = ["MqttSink"]

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_TIMEOUT = 5.0
"""Timeout of the connection and of the acknowledgement, in seconds."""
_POLL_INTERVAL = 0.1
_KEEP_ALIVE = 15
"""Interval in which client and broker notice a lost connection, in seconds."""
_LONGEST_TOPIC = 65535


class MqttSink(Sink):
    """A message of quality of service 1 for each event, as a JSON object; the broker's acknowledgement confirms it.

    User and password come from the URL or from ANOMEDGE_MQTT_USER and ANOMEDGE_MQTT_PASSWORD. `mqtts` checks the broker's
    certificate against the system's authorities, or those of the file `?ca=FILE`. A connection that fails is closed;
    the next attempt makes a new one.

    Args:
        address: mqtt or mqtts URL whose path is the topic.
        timeout: of the connection and of the acknowledgement, in seconds.

    Raises:
        InputError: the URL cannot be used.
        RuntimeMissing: paho-mqtt is not installed.
    """

    name = "mqtt"
    address_help = "mqtt://HOST/TOPIC or mqtts://HOST/TOPIC"

    def __init__(self, address: str, *, timeout: float = _TIMEOUT) -> None:
        self._url = parsed_url(address, _PORTS, ("ca",), "ANOMEDGE_MQTT")
        self.title = self._url.title
        self._topic = _topic_of(self._url)
        self._tls = _tls_of(self._url)
        self._timeout = timeout
        self._paho = _load_paho()
        self._client: Any = None

    @classmethod
    def accepts(cls, address: str) -> bool:
        """Return whether the address is an mqtt or mqtts URL."""
        return has_scheme(address, *_PORTS)

    @classmethod
    def open(cls, address: str) -> MqttSink:
        """Return the sink of a topic."""
        return cls(address)

    def send(self, event: Event) -> None:
        """Publish an event and wait for the acknowledgement.

        Raises:
            SinkDown: no connection, or no acknowledgement in time.
        """
        client = self._connected()
        message = client.publish(self._topic, json.dumps(dict(event)), qos=1)
        if message.rc != self._paho.MQTT_ERR_SUCCESS:
            self.close()
            reason = self._paho.error_string(message.rc)
            raise SinkDown(f"not published ({reason})", sent=False)
        deadline = time.monotonic() + self._timeout
        while not message.is_published():
            if not client.is_connected() or time.monotonic() > deadline:
                self.close()
                raise SinkDown("no acknowledgement")
            message.wait_for_publish(_POLL_INTERVAL)

    def close(self) -> None:
        """Close the connection; forget a message without acknowledgement."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(OSError, ValueError):
                client.disconnect()
            client.loop_stop()

    def _connected(self) -> Any:
        """Return the client; connect it anew if it lost its connection."""
        if self._client is not None and self._client.is_connected():
            return self._client
        self.close()
        answer: list[Any] = []
        answered = threading.Event()
        self._client = self._new_client(answer, answered)
        try:
            self._client.connect(self._url.host, self._url.port, _KEEP_ALIVE)
        except (OSError, ValueError) as error:
            self.close()
            raise SinkDown(f"no connection ({error})", sent=False) from error
        self._client.loop_start()
        answered.wait(self._timeout)
        if not answer or answer[0].is_failure:
            reason = answer[0] if answer else "no answer"
            self.close()
            raise SinkDown(f"no connection ({reason})", sent=False)
        return self._client

    def _new_client(self, answer: list[Any], answered: threading.Event) -> Any:
        client = self._paho.Client(
            self._paho.CallbackAPIVersion.VERSION2, reconnect_on_failure=False
        )
        client.connect_timeout = self._timeout
        if self._url.user is not None:
            client.username_pw_set(self._url.user, self._url.password)
        if self._tls is not None:
            client.tls_set_context(self._tls)

        def connected(*arguments: Any) -> None:
            # Client, user data, flags, reason code, properties.
            answer.append(arguments[3])
            answered.set()

        client.on_connect = connected
        return client


def _load_paho() -> Any:
    try:
        import paho.mqtt.client
    except ImportError as error:
        raise missing_package("mqtt", error) from error
    return paho.mqtt.client


def _topic_of(url: SinkUrl) -> str:
    topic = url.path.removeprefix("/")
    wrong = any(c in topic for c in "+#\0") or not topic
    if wrong or len(topic.encode()) > _LONGEST_TOPIC:
        raise InputError(
            f"got the topic {topic[:80]!r} in --sink {url.title[:200]}; expected a name such as factory/line1 without + and #"
        )
    return topic


def _tls_of(url: SinkUrl) -> ssl.SSLContext | None:
    authorities = url.options.get("ca")
    if url.scheme != "mqtts":
        if authorities is not None:
            raise InputError(
                f"got ?ca= with --sink {url.title}; expected mqtts://"
            )
        return None
    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError as error:
        raise InputError(
            f"got ?ca={authorities} in --sink {url.title}, which cannot be read ({os.strerror(error.errno or 0)}); "
            "expected a PEM file of certificates"
        ) from error
