"""Show progress of long work on standard error: a bar on a terminal, lines elsewhere, such as in a log."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["steps_shown", "track", "waiting"]

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


@contextmanager
def steps_shown(
    description: str, total: int, done: int = 0
) -> Iterator[Callable[[int, str], None]]:
    """Show work of several steps with the time left; yield a function that takes the steps done and a text.

    Args:
        description: name of the work.
        total: number of steps.
        done: number of steps that were done before.

    >>> with steps_shown("training", 2) as say:
    ...     say(1, "epoch 1 of 2")
    """
    if not sys.stderr.isatty():
        lines = _Lines(description)
        start = time.monotonic()

        def write(count: int, text: str) -> None:
            passed = time.monotonic() - start
            left = passed / max(1, count - done) * (total - count)
            lines.step(count / total, f"{text}, about {_duration(left)} left")

        yield write
        lines.finish()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task(description, total=total, completed=done)
        yield lambda count, text: bar.update(
            task, completed=count, description=f"{description}: {text}"
        )


def _duration(seconds: float) -> str:
    """Format a duration in its largest unit.

    >>> _duration(59.4), _duration(150), _duration(7300)
    ('59 s', '2 min', '2.0 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


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

    def step(self, share: float, text: str) -> None:
        """Write a line on the share that is done, if one is due."""
        moved = share - self._share >= _SHARE
        if self._is_due(moved):
            self._share = share
            self._write(text)

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
