"""Signals that stop a training, held while an epoch is stored."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["stop_signals_held"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_signals_held() -> Iterator[None]:
    """Deliver SIGINT and SIGTERM when the block has ended; a second one interrupts it.

    Outside the main thread this does nothing, because signals arrive only there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        if held:
            _deliver(number, frame, former[number])
        held.append(number)

    former: dict[int, Any] = {each: signal.getsignal(each) for each in _SIGNALS}
    try:
        for each in _SIGNALS:
            signal.signal(each, hold)
        yield
    finally:
        for number, handler in former.items():
            # Python cannot install again what another language installed.
            signal.signal(number, handler or signal.SIG_DFL)
    if held:
        _deliver(held[0], None, former[held[0]])


def _deliver(number: int, frame: FrameType | None, handler: Any) -> None:
    """Act on a signal as its handler does."""
    if callable(handler):
        handler(number, frame)
    elif handler != signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
