"""Format byte counts and quantities with decimal prefixes."""

from __future__ import annotations

import math

__all__ = ["format_bytes", "format_quantity", "format_share"]

_MOST_PERCENT = 100.0
"""Shares from this on are factors: 10,000 % reads worse."""


def format_bytes(count: int) -> str:
    """Format a number of bytes in decimal units.

    >>> format_bytes(999), format_bytes(178_000_000)
    ('999 B', '178.0 MB')
    """
    if count < 1000:
        return f"{count} B"
    size = float(count)
    for unit in ("kB", "MB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.2f} GB"


def format_share(
    part: float, whole: float, name: str, digits: int = 1, sign: str = ""
) -> str:
    """Format a share of a named whole in percent; as a factor where a percentage has too many digits to read.

    >>> format_share(1, 4, "it"), format_share(1, 4, "it", sign="+"), format_share(-1e308, 10, "it")
    ('25.0% of it', '+25.0% of it', '-1e+307 times it')
    >>> format_share(1e308, 0.1, "it")
    'more than 1e+308 times it'
    """
    share = part / whole
    if not math.isfinite(share):
        return f"more than {'-' if share < 0 else ''}1e+308 times {name}"
    if abs(share) >= _MOST_PERCENT:
        return f"{share:{sign}.3g} times {name}"
    return f"{share:{sign}.{digits}%} of {name}"


def format_quantity(value: float, unit: str) -> str:
    """Format a number with a decimal prefix.

    >>> format_quantity(1.28e12, "FLOP/s"), format_quantity(0, "FLOP")
    ('1.28 TFLOP/s', '0 FLOP')
    """
    for prefix, scale in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= scale:
            return f"{value / scale:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"
