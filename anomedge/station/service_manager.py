"""Messages to the service manager that started this process (systemd, or one with its protocol).

The protocol is that of sd_notify(3): each message is one datagram of lines `NAME=value` to the socket in NOTIFY_SOCKET.
A path that begins with `@` names an abstract socket. WATCHDOG_USEC is the longest time between two `WATCHDOG=1`, in
microseconds; after it, the service manager restarts the process. WATCHDOG_PID limits that to one process.
"""

from __future__ import annotations

import os
import socket
import time
import warnings
from collections.abc import Callable, Mapping

__all__ = ["ServiceManager"]

_TIMEOUT = 1.0
"""Timeout of a message, in seconds: a service manager that does not read must not stop inspection."""


class ServiceManager:
    """Tells the service manager that the process is ready, alive and stopping; does nothing if there is none.

    Args:
        environment: variables of the process.
        clock: a clock that never goes back, in seconds.

    Attributes:
        interval: interval between two signs of life, in seconds: half the time that the service manager allows. None
            if it expects none.
    """

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self.interval = _interval(environment)
        self._clock = clock
        self._last: float | None = None

    def ready(self) -> None:
        """Tell that the process inspects from now on. A failure is a warning: the service manager will not wait long."""
        try:
            self._send("READY=1")
        except OSError as error:
            warnings.warn(
                f"cannot write to NOTIFY_SOCKET ({error.strerror or error}); the service manager does not learn that the "
                "station is ready: check that the station may write to this socket",
                stacklevel=2,
            )

    def alive(self) -> None:
        """Tell that the process works, if the last time is an interval ago. The next call replaces a failed one."""
        if self.interval is None:
            return
        now = self._clock()
        if self._last is None or now - self._last >= self.interval:
            self._try_to_send("WATCHDOG=1")
            self._last = now

    def stopping(self) -> None:
        """Tell that the process is about to end."""
        self._try_to_send("STOPPING=1")

    def _try_to_send(self, message: str) -> None:
        try:
            self._send(message)
        except OSError:
            return  # as without a service manager

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
            datagrams.settimeout(_TIMEOUT)
            datagrams.sendto(message.encode(), self._address)


def _address(given: str) -> str | None:
    r"""Return the address of the socket; None if there is none of a kind that is supported.

    >>> _address("@anomedge"), _address("/run/notify"), _address("vsock:2:1")
    ('\x00anomedge', '/run/notify', None)
    """
    if not hasattr(socket, "AF_UNIX"):
        return None
    if given.startswith("@"):
        return f"\0{given[1:]}"
    return given if given.startswith("/") else None


def _interval(environment: Mapping[str, str]) -> float | None:
    """Return half the time that the service manager allows between two signs of life, in seconds.

    >>> _interval({"WATCHDOG_USEC": "30000000"})
    15.0
    """
    given = environment.get("WATCHDOG_USEC", "")
    process = environment.get("WATCHDOG_PID", str(os.getpid()))
    is_number = given.isascii() and given.isdecimal() and int(given) > 0
    if not is_number or process != str(os.getpid()):
        return None
    return int(given) / 2e6
