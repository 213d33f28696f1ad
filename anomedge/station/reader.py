"""Notice that the reader of a pipe went away, before the next line is written."""

from __future__ import annotations

import select
from typing import TextIO

__all__ = ["has_lost_reader"]


def has_lost_reader(stream: TextIO) -> bool:
    """Return whether a stream is a pipe, socket or terminal whose other end is closed. Files have no reader to lose.

    Always False where the system cannot tell; a failed write tells it then.
    """
    if not hasattr(select, "poll"):
        return False
    try:
        number = stream.fileno()
    except (OSError, ValueError):  # no file of the system, or closed
        return False
    poll = select.poll()
    # Of no events: errors and hang-ups are always reported.
    poll.register(number, 0)
    return any(
        found & (select.POLLERR | select.POLLHUP) for _, found in poll.poll(0)
    )
