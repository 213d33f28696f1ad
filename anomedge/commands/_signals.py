"""Handle the signals that stop a program: SIGTERM, and SIGINT of Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["stop_signals_handled"]


@contextmanager
def stop_signals_handled(
    handler: Callable[[int, FrameType | None], None],
) -> Iterator[None]:
    """Call `handler` on SIGTERM and SIGINT within the block; restore the earlier handlers after it.

    Outside the main thread this does nothing, because Python installs signal handlers only there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {
        number: signal.signal(number, handler)
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, earlier in former.items():
            signal.signal(
                number, signal.SIG_DFL if earlier is None else earlier
            )
