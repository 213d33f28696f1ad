"""Printing to people: names from outside cannot steer the terminal, and a full disk is said in one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from anomedge.errors import OutputError
from anomedge.names import printable_lines

__all__ = ["SafeConsole", "flush_stdout", "wide_console"]


class SafeConsole(Console):
    r"""A console that prints every character a terminal would obey or hide as an escape such as `\x1b`.

    Brackets are no markup and colons no emoji: names hold both. What standard error cannot take is dropped.
    """

    def __init__(self, *, stderr: bool = False, width: int | None = None, soft_wrap: bool = True) -> None:
        super().__init__(stderr=stderr, width=width, soft_wrap=soft_wrap, highlight=False, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Escape a string before it is measured."""
        return super().render_str(printable_lines(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Escape what was no plain string."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable_lines(segment.text))

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; a message that standard error has no room for must not become another error."""
        try:
            super().print(*objects, **options)
        except OSError:
            if not self.stderr:
                raise


def wide_console() -> SafeConsole:
    """Make a console for tables: as wide as the terminal, or wide enough for them in a file."""
    return SafeConsole(width=None if sys.stdout.isatty() else 110, soft_wrap=False)


def flush_stdout() -> None:
    """Write what standard output still buffers.

    Raises:
        OutputError: it cannot be written; the rest is dropped, or Python would complain of it once more at its end.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # the reader went away: no error of ours
        _drop_stdout()
    except OSError as error:
        _drop_stdout()
        reason = error.strerror or str(error)
        raise OutputError(
            f"cannot write to standard output: {reason}; redirect it to a place with free space"
        ) from error


def _drop_stdout() -> None:
    with suppress(OSError, ValueError):
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, sys.stdout.fileno())
        os.close(sink)
