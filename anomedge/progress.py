"""Show progress of long work on standard error: a bar on a terminal, lines elsewhere, such as in a log."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["track", "waiting"]

T = TypeVar("T")

_FIRST = 5.0
"""Seconds after which the first line is written; shorter work writes none."""
_PAUSE = 10.0
"""Least time between two lines, in seconds."""
_LONGEST = 60.0
"""Time after which a line is written even if less than a tenth was done since the last one, in seconds."""
_SHARE = 0.1


def track(
    items: Iterable[T], description: str, total: int | None = None
) -> Iterator[T]:
    """Yield the items and show a bar on standard error, or lines if it is not a terminal.

    >>> list(track([1, 2], "counting"))
    [1, 2]
    """
    if total == 0 or not sys.stderr.isatty():
        yield from _track_in_lines(items, description, total)
        return
    from rich.console import Console
    from rich.progress import track as rich_track

    yield from rich_track(
        items,
        description,
        total=total,
        console=Console(stderr=True),
        transient=True,
    )


@contextmanager
def waiting(description: str) -> Iterator[Callable[[str], None]]:
    """Show a line with the elapsed time during work of another program; yield a function that updates its text.

    >>> with waiting("building") as say:
    ...     say("step 1/2")
    """
    if not sys.stderr.isatty():
        lines = _Lines(description)
        yield lines.say
        # After an error this is not reached: failed work is not done.
        lines.finish()
        return
    from rich.console import Console
    from rich.progress import (
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=Console(stderr=True), transient=True
    ) as line:
        task = line.add_task(description, total=None)
        yield lambda text: line.update(
            task, description=f"{description}: {text}"
        )


def _track_in_lines(
    items: Iterable[T], description: str, total: int | None
) -> Iterator[T]:
    lines = _Lines(description)
    for count, item in enumerate(items):
        lines.count(count, total)
        yield item
    lines.finish()


class _Lines:
    """Lines on the progress of one piece of work; none in its first seconds, and then few."""

    def __init__(self, description: str) -> None:
        self._description = description
        self._start = self._last = time.monotonic()
        self._written = False
        self._share = 0.0

    def count(self, done: int, total: int | None) -> None:
        """Write a line on the number of items done, if one is due."""
        share = done / total if total else 0.0
        moved = share - self._share >= _SHARE
        if self._is_due(moved):
            self._share = share
            of_all = f" of {total}" if total else ""
            self._write(f"{done}{of_all}")

    def say(self, text: str) -> None:
        """Write a line with a text, if one is due."""
        if self._is_due(moved=False):
            self._write(text)

    def finish(self) -> None:
        """Write the last line if any line was written."""
        if self._written:
            self._write("done")

    def _is_due(self, moved: bool) -> bool:
        passed = time.monotonic() - self._last
        if not self._written:
            return passed >= _FIRST
        return passed >= (_PAUSE if moved else _LONGEST)

    def _write(self, text: str) -> None:
        self._last, self._written = time.monotonic(), True
        seconds = round(self._last - self._start)
        line = f"{self._description}: {text} ({seconds} s)\n"
        try:
            sys.stderr.write(line)
            sys.stderr.flush()
        # Progress must not end the work when nothing reads it.
        except (OSError, ValueError):
            return
