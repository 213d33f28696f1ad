"""Handle the signals that stop a program (SIGTERM, and SIGINT of Ctrl-C), and SIGHUP, which requests a reload."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

__all__ = ["reload_handled", "stop_signals_handled"]

Handler = Callable[[int, FrameType | None], None]


def stop_signals_handled(handler: Handler) -> AbstractContextManager[None]:
    """Call `handler` on SIGTERM and SIGINT within the block; see `_handled`."""
    return _handled((signal.SIGTERM, signal.SIGINT), handler)


def reload_handled(reload: Callable[[], None]) -> AbstractContextManager[None]:
    """Call `reload` on SIGHUP within the block, where the system has it; see `_handled`."""
    hang_up = getattr(signal, "SIGHUP", None)
    numbers = () if hang_up is None else (hang_up,)
    return _handled(numbers, lambda *_: reload())


@contextmanager
def _handled(numbers: Sequence[int], handler: Handler) -> Iterator[None]:
    """Call `handler` on some signals within the block; restore the earlier handlers after it.

    Outside the main thread this does nothing, because Python installs signal handlers only there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in former.items():
            signal.signal(
                number, signal.SIG_DFL if earlier is None else earlier
            )
