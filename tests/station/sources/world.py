"""A stop event that changes the world at each wait.

A source waits only through `stop.wait`, so no test sleeps, and each test controls what the source sees at each look.
The clock `now` passes while a source waits, and does not pass otherwise.
"""

import threading

from anomedge.station.sources import CapturedFrame, UnusableFrame


class World(threading.Event):
    """Make one move at each wait; stop after the last."""

    now = 0.0

    def __init__(self, *moves):
        super().__init__()
        self.moves, self.waits = iter(moves), []

    def wait(self, timeout=None):
        self.waits.append(timeout)
        World.now += timeout or 0
        move = next(self.moves, None)
        if move is None:
            self.set()
        else:
            move()
        return self.is_set()


def nothing():
    pass


def short(item):
    """A frame's name, ("unusable", name), or the event of a connection change."""
    if isinstance(item, CapturedFrame):
        return item.name
    return (
        ("unusable", item.name)
        if isinstance(item, UnusableFrame)
        else item.event
    )
