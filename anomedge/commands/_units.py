"""Format byte counts and quantities with decimal prefixes."""

from __future__ import annotations

__all__ = ["format_bytes", "format_quantity"]


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


def format_quantity(value: float, unit: str) -> str:
    """Format a number with a decimal prefix.

    >>> format_quantity(1.28e12, "FLOP/s"), format_quantity(0, "FLOP")
    ('1.28 TFLOP/s', '0 FLOP')
    """
    for prefix, scale in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= scale:
            return f"{value / scale:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"
