"""Addresses of network sinks: parts, defaults, options and credentials of a URL."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from anomedge.errors import InputError

__all__ = ["SinkUrl", "has_scheme", "parsed_url"]


@dataclass(frozen=True)
class SinkUrl:
    """Parts of a URL.

    Attributes:
        scheme: in lower case.
        host: name or address, without brackets.
        port: the stated one, or the scheme's.
        path: percent-decoded, with its first slash.
        options: the options of the query.
        user: None if not given.
        password: None if not given.
        title: the URL without user name, password and options.
    """

    scheme: str
    host: str
    port: int
    path: str
    options: dict[str, str]
    user: str | None
    password: str | None
    title: str

    @property
    def host_and_port(self) -> str:
        """Host and port as in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def has_scheme(address: str, *schemes: str) -> bool:
    """Return whether an address is a URL of one of these schemes.

    >>> has_scheme("MQTT://broker/a", "mqtt"), has_scheme("mqtt", "mqtt")
    (True, False)
    """
    scheme, separator, _ = address.partition("://")
    return separator != "" and scheme.lower() in schemes


def parsed_url(
    address: str,
    ports: Mapping[str, int],
    options: tuple[str, ...] = (),
    variables: str = "",
) -> SinkUrl:
    """Parse the URL of a sink.

    Args:
        address: the URL.
        ports: default port of each scheme.
        options: names that the query may have.
        variables: prefix of the environment variables `..._USER` and `..._PASSWORD`, used if the URL has no user.

    Raises:
        InputError: no host, a port that is none, a fragment, or an unknown option.
    """
    try:
        parts = urlsplit(address)
        port = parts.port
        query = parse_qsl(
            parts.query,
            keep_blank_values=True,
            strict_parsing=bool(parts.query),
        )
    except ValueError as error:
        # Without the address, which may have a password.
        raise InputError(
            f"got a --sink URL that cannot be read ({error}); expected SCHEME://HOST:PORT/..."
        ) from error
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    title = f"{scheme}://{shown}{f':{port}' if port else ''}{parts.path}"
    if not host:
        raise InputError(f"got --sink {title} without a host; expected one")
    if parts.fragment or address.endswith("#"):
        raise InputError(
            f"got '#' in --sink {title}; expected it as %23, or none"
        )
    unknown = [name for name, _ in query if name not in options]
    if unknown:
        known = ", ".join(options) or "no option"
        raise InputError(
            f"got the option {unknown[0]!r} in --sink {title}; expected {known}"
        )
    user, password = _credentials(parts.username, parts.password, variables)
    return SinkUrl(
        scheme,
        host,
        port or ports[scheme],
        unquote(parts.path),
        dict(query),
        user,
        password,
        title,
    )


def _credentials(
    user: str | None, password: str | None, variables: str
) -> tuple[str | None, str | None]:
    if user:
        return unquote(user), unquote(password or "")
    if not variables:
        return None, None
    found = os.environ.get(f"{variables}_USER") or None
    return found, os.environ.get(f"{variables}_PASSWORD", "") if found else None
