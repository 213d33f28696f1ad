"""Escape untrusted names (files, folders, bundles, models) so that they are safe to print and to store."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "ascii_only",
    "indented",
    "printable",
    "printable_lines",
    "printable_message",
    "storable",
]

_FIRST_SURROGATE, _LAST_SURROGATE = 0xD800, 0xDFFF
_BYTE_AS_SURROGATE = 0xDC00
"""`os.fsdecode` maps the byte b of a name that is not UTF-8 to the lone surrogate 0xDC00 + b."""


def printable(text: str) -> str:
    r"""Escape every control, invisible or bidirectional character and lone surrogate.

    >>> printable("a\x1b[2Jb\u202ec\nd")
    'a\\x1b[2Jb\\u202ec\\nd'
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode()
        for c in text
    )


def ascii_only(text: str) -> str:
    r"""Escape every character but the printable ones of ASCII, for names that must not be mistaken for others.

    >>> ascii_only("h\u043est.json")
    'h\\u043est.json'
    """
    return printable(text).encode("ascii", "backslashreplace").decode()


def printable_lines(text: str) -> str:
    r"""Escape as `printable` does, except line feeds.

    >>> printable_lines("one\ntwo\r")
    'one\ntwo\\r'
    """
    return "\n".join(printable(line) for line in text.split("\n"))


def printable_message(text: str) -> str:
    r"""Escape as `printable` does, except line feeds before the indented lines of a list, see `indented`.

    >>> printable_message("a\nerror: b:\n  c")
    'a\\nerror: b:\n  c'
    """
    return "\n  ".join(printable(part) for part in text.split("\n  "))


def storable(name: str) -> str:
    r"""Escape lone surrogates, which UTF-8 cannot encode; leave all other text unchanged.

    >>> storable("caf\udce9.png"), storable("café.png")
    ('caf\\xe9.png', 'café.png')
    """
    return "".join(
        _storable(c) if _FIRST_SURROGATE <= ord(c) <= _LAST_SURROGATE else c
        for c in name
    )


def _storable(surrogate: str) -> str:
    byte = ord(surrogate) - _BYTE_AS_SURROGATE
    return (
        f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else f"\\u{ord(surrogate):04x}"
    )


def indented(lines: Sequence[str], most: int = 10) -> str:
    r"""Format lines for the end of a message, one per indented line; count the lines after the first `most`.

    >>> indented(["a", "b", "c"], most=2)
    '\n  a\n  b\n  and 1 more'
    """
    shown = [printable(line) for line in lines[:most]]
    if len(lines) > most:
        shown.append(f"and {len(lines) - most} more")
    return "".join(f"\n  {line}" for line in shown)
