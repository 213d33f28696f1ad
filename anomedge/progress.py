"""Show progress of long work on a terminal; print nothing elsewhere."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["track", "waiting"]

T = TypeVar("T")


def track(
    items: Iterable[T], description: str, total: int | None = None
) -> Iterator[T]:
    """Yield the items and show a bar on standard error if it is a terminal.

    >>> list(track([1, 2], "counting"))
    [1, 2]
    """
    if not sys.stderr.isatty():
        yield from items
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
        yield lambda _: None
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
