"""Print to a terminal: escape control characters in untrusted names; report a failed write in one line."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from anomedge.errors import OutputError
from anomedge.names import printable, printable_lines

__all__ = ["SafeConsole", "checked_stdout", "stdout_failure", "wide_console"]


class SafeConsole(Console):
    r"""A console that escapes control and invisible characters, as in `\x1b`. A printed string is one line.

    Markup and emoji codes are off, because names may contain brackets and colons. Messages that standard error cannot
    write are dropped.
    """

    def __init__(
        self,
        *,
        stderr: bool = False,
        width: int | None = None,
        soft_wrap: bool = True,
    ) -> None:
        super().__init__(
            stderr=stderr,
            width=width,
            soft_wrap=soft_wrap,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def render_str(self, text: str, **options: Any) -> Text:
        """Escape a string before it is measured."""
        return super().render_str(printable_lines(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Escape the text of renderables other than plain strings."""
        for segment in super().render(renderable, options):
            yield (
                segment
                if segment.control
                else segment._replace(text=printable_lines(segment.text))
            )

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; ignore a failed write to standard error, so that it does not replace the error being reported."""
        shown = [printable(x) if isinstance(x, str) else x for x in objects]
        try:
            super().print(*shown, **options)
        except OSError:
            if not self.stderr:
                raise


def wide_console() -> SafeConsole:
    """Make a console for tables: as wide as the terminal, or 110 columns when redirected."""
    return SafeConsole(
        width=None if sys.stdout.isatty() else 110, soft_wrap=False
    )


class _CheckedFile(io.FileIO):
    """Standard output that records the error of a failed write and drops later writes."""

    failure: OSError | None = None

    def write(self, data: Any) -> int | None:  # type: ignore[override]
        """Write bytes; after a failure, report success without writing."""
        if self.failure is not None:
            return memoryview(data).nbytes
        try:
            return super().write(data)
        # The reader closed the pipe; the caller handles that.
        except BrokenPipeError:
            raise
        except OSError as error:
            self.failure = error
            raise


@contextmanager
def checked_stdout() -> Iterator[None]:
    """Within the block, record a failed write to standard output for `stdout_failure`."""
    plain = sys.stdout
    if type(plain) is not io.TextIOWrapper:  # captured by a test, or closed
        yield
        return
    plain.flush()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_CheckedFile(plain.fileno(), "wb", closefd=False)),
        encoding=plain.encoding,
        errors=plain.errors,
        line_buffering=plain.line_buffering,
        write_through=plain.write_through,
    )
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        sys.stdout = plain


def stdout_failure() -> OutputError | None:
    """Return the error of a failed write within `checked_stdout`, or None."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if not isinstance(raw, _CheckedFile) or raw.failure is None:
        return None
    reason = raw.failure.strerror or str(raw.failure)
    return OutputError(
        f"cannot write to standard output: {reason}; redirect it to a place with free space"
    )
