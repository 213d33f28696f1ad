"""Run the station of `watch` on standard output, until its end or a stop signal."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from types import FrameType

from anomedge.commands._console import SafeConsole
from anomedge.commands._memory import OpenMemory
from anomedge.commands._signals import reload_handled, stop_signals_handled
from anomedge.inspector import Inspector
from anomedge.station import (
    EventWriter,
    Source,
    Station,
    StationOptions,
    Summary,
)
from anomedge.station.candidate import CandidateRules
from anomedge.station.deliveries import Deliveries
from anomedge.station.exchange import FollowedBundle, PinnedBundle
from anomedge.station.observers import ObserverOptions
from anomedge.station.picture_keeper import PictureKeeper
from anomedge.station.reactions import ReactionOptions, Reactions
from anomedge.station.service_manager import ServiceManager

__all__ = ["run_station"]


def run_station(
    inspector: Inspector,
    source: Source,
    options: StationOptions,
    commands: ReactionOptions,
    keeper: PictureKeeper | None,
    sinks: Deliveries | None,
    rules: CandidateRules | None,
    observed: ObserverOptions,
    memory: OpenMemory,
) -> Summary:
    """Run a station; without rules for a changed bundle, the bundle is pinned."""
    output = EventWriter(sys.stdout, sinks, _say)
    follower = (
        PinnedBundle(output, _say)
        if rules is None
        else FollowedBundle(output, rules, _say)
    )
    reactions = Reactions(commands, output.error, memory.journal, memory.done)
    station = Station(
        inspector,
        source,
        output,
        options,
        reactions,
        keeper,
        follower=follower,
        service=ServiceManager(),
        observers=observed.open(output),
        journal=memory.journal,
    )
    try:
        with (
            _stopped_by_signals(station.stop, reactions.kill),
            reload_handled(follower.reload),
        ):
            return station.run()
    finally:
        if output.closed:
            _discard_output()


def _discard_output() -> None:
    """Discard the buffered lines: they can no longer be written, and Python would report an error at its exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stopped_by_signals(
    stop: Callable[[], None], clean_up: Callable[[], None]
) -> AbstractContextManager[None]:
    """Call `stop` on the first SIGTERM or SIGINT within the block; on the second call `clean_up` and end the process."""
    stop_requested = False

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal stop_requested
        if not stop_requested:
            stop_requested = True
            stop()
            return
        with suppress(OSError):
            clean_up()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    return stop_signals_handled(handle)


def _say(text: str) -> None:
    """Print a warning; standard error may be on the same full disk."""
    with suppress(OSError):
        SafeConsole(stderr=True).print(f"warning: {text}", soft_wrap=True)
