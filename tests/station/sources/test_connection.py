"""A thread that reads one connection: its frames, its errors, and drivers that block."""

import threading

import numpy as np
import pytest

from anomedge.errors import InputError
from anomedge.station.sources import CapturedFrame
from anomedge.station.sources._connection import Connection, Disconnected


def frame(number):
    return CapturedFrame(number, f"a#{number}", np.zeros((1, 1, 3), np.uint8))


def nothing():
    pass


def connected(*shots, interrupt=nothing):
    """A connection that yields frames and raises errors."""

    def frames(stop):
        for shot in shots:
            if isinstance(shot, Exception):
                raise shot
            yield shot

    return Connection(frames, interrupt)


def test_frames_then_the_end():
    stop = threading.Event()
    connection = connected(frame(1), frame(2))
    assert connection.next(5, stop).number == 1
    assert not connection.ended
    assert connection.next(0, stop).number == 2
    assert connection.next(5, stop) == "ended"
    assert connection.ended


def test_errors_come_after_the_frames_before_them():
    stop = threading.Event()
    connection = connected(frame(1), InputError("no"))
    assert connection.next(5, stop).number == 1
    with pytest.raises(InputError, match="no"):
        connection.next(5, stop)
    with pytest.raises(Disconnected, match="gone"):
        connected(OSError(5, "gone")).next(5, stop)


def test_a_driver_that_blocks_is_late_and_its_frame_is_taken_later():
    blocked, stop = threading.Event(), threading.Event()

    def frames(stop):
        blocked.wait(20)
        yield frame(1)

    connection = Connection(frames, nothing)
    assert connection.next(0.02, stop) == "late"
    assert not connection.ended
    blocked.set()
    assert connection.next(5, stop).number == 1


def test_interrupt_ends_a_driver_that_can_be_interrupted():
    blocked, closed = threading.Event(), threading.Event()

    def frames(stop):
        try:
            blocked.wait(20)
            yield from ()
            raise Disconnected("killed")
        finally:
            closed.set()

    connection = Connection(frames, blocked.set)
    connection.interrupt()
    assert connection.ended
    assert closed.is_set()


def test_close_closes_the_device_of_a_thread_that_waits_for_room():
    closed = threading.Event()

    def frames(stop):
        try:
            yield from map(frame, range(1, 99))
        finally:
            closed.set()

    connection = Connection(frames, nothing)
    assert connection.next(5, threading.Event()).number == 1
    connection.close()
    assert closed.is_set()


def test_a_stop_request_ends_the_wait():
    stop = threading.Event()
    stop.set()
    assert connected(frame(1)).next(0, stop) == "ended"
