"""Run a build on a thread of its own: show its progress, stop it at Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["progress_monitor", "run_on_thread"]

T = TypeVar("T")

_POLL_INTERVAL = 0.1


def run_on_thread(
    work: Callable[[], T], stop: threading.Event, show: Callable[[str], None]
) -> T:
    """Run work on another thread and return its result; raise its error.

    Python delivers signals to the main thread only, and an exception must not
    unwind through the vendor's frames, so the build runs beside the main thread.

    Args:
        work: the function to run.
        stop: set when the main thread is interrupted.
        show: shows a text on the progress line.
    """
    results: list[T] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
            errors.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=run, name="anomedge-builder", daemon=True)
    try:
        thread.start()
        # Not `join`, which reports an interrupted wait as the thread's end (bpo-45274).
        while not done.wait(_POLL_INTERVAL):
            pass
    except BaseException:
        # The monitor stops the build at its next step; without a monitor the
        # build runs to its end.
        stop.set()
        if thread in threading.enumerate():
            with suppress(Exception):
                show("stopping")
            done.wait()
        raise
    if errors:
        raise errors[0]
    return results[0]


def progress_monitor(
    trt: Any, show: Callable[[str], None], stop: threading.Event
) -> Any:
    """Return a monitor that shows the steps of a build and can stop it.

    None before release 10, which has no monitors.
    """
    if not hasattr(trt, "IProgressMonitor"):
        return None

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}

        def phase_start(
            self, phase_name: str, parent_phase: str | None, num_steps: int
        ) -> None:
            del parent_phase
            self.steps[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            total = self.steps.get(phase_name, 0)
            # An exception here would end the process.
            with suppress(Exception):
                show(f"{phase_name.lower()} {step + 1}/{total}")
            return not stop.is_set()

        def phase_finish(self, phase_name: str) -> None:
            self.steps.pop(phase_name, None)

    return Monitor()
