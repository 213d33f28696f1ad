"""The rule of live sources: time limits, attempts, and the policy for frames."""

import threading

import numpy as np
import pytest

from anomedge.errors import InputError, SourceLost
from anomedge.station.sources import (
    CapturedFrame,
    FramePolicy,
    SourceOptions,
)
from anomedge.station.sources._connection import Disconnected
from anomedge.station.sources._live import LiveSource
from tests.station.sources.world import World, nothing, short

HANG = object()


class Device(LiveSource):
    """Each opening follows its own script: frames, a hang, an error, or the end of the stream."""

    name = "device"

    def __init__(self, *scripts, interruptible=True, **options):
        super().__init__("device", SourceOptions(**options))
        self.scripts, self.interruptible = list(scripts), interruptible
        self.released, self.openings = threading.Event(), 0

    @classmethod
    def accepts(cls, address):  # noqa: ARG003
        return False

    @classmethod
    def open(cls, address, options):
        raise NotImplementedError

    def interrupt(self):
        if self.interruptible:
            self.released.set()

    def frames(self, number, stop):  # noqa: ARG002
        self.openings += 1
        self.released.clear()
        script = self.scripts.pop(0) if self.scripts else [Disconnected("off")]
        for step in script:
            if isinstance(step, Exception):
                raise step
            if step is HANG:
                self.released.wait(20)
                if self.interruptible:
                    raise Disconnected("killed")
            number += 1
            pixels = np.zeros((1, 1, 3), np.uint8)
            yield CapturedFrame(number, f"device#{number}", pixels)


def names(items):
    return [short(item) for item in items]


def test_the_end_of_the_stream_is_the_end():
    device = Device([1, 1])
    assert names(device.events(World())) == ["device#1", "device#2"]
    assert device.openings == 1


def test_a_lost_connection_is_opened_again_and_numbers_go_on():
    device = Device([1, Disconnected("unplugged")], [OSError(5, "busy")], [1])
    items = list(device.events(World(nothing, nothing)))
    assert names(items) == [
        "device#1", "waiting", "waiting", "resumed", "device#2",
    ]  # fmt: skip
    assert items[1].message == "unplugged; attempt 1 to reopen it"
    assert items[2].message == "busy; attempt 2 to reopen it"


def test_first_and_further_frames_have_time_limits_of_their_own():
    device = Device(
        [HANG], [1, HANG], first_frame=0.05, read_timeout=0.02, retries=1
    )
    items = device.events(World(*[nothing] * 9))
    assert "no frame came within 0.05 s" in next(items).message
    assert names([next(items), next(items)]) == ["resumed", "device#1"]
    assert "no frame came within 0.02 s" in next(items).message
    with pytest.raises(SourceLost, match=r"1 attempts to reopen it \(off\)"):
        next(items)
    assert device.openings == 3


def test_a_driver_that_hangs_is_not_opened_twice():
    device = Device([HANG, 1], interruptible=False, first_frame=0.02)
    device.longest_pause = 0.0
    world = World(nothing, nothing, device.released.set)
    items = list(device.events(world))
    assert names(items) == [
        "waiting", "waiting", "waiting", "resumed", "device#1", "device#2",
    ]  # fmt: skip
    assert device.openings == 1


def test_an_error_that_no_attempt_can_cure_is_raised():
    with pytest.raises(InputError, match="no such element"):
        list(Device([InputError("no such element")]).events(World(nothing)))


def test_the_policy_decides_whether_the_queue_drops():
    assert Device().live
    assert not Device(frames=FramePolicy.ALL).live
    assert Device(frames=FramePolicy.LATEST).live


def test_time_limits_have_defaults_and_zero_is_none():
    assert (Device().first_frame, Device().read_timeout) == (10, 5)
    device = Device([1, 1], first_frame=0.0, read_timeout=0.0)
    assert (device.first_frame, device.read_timeout) == (0, 0)
    assert names(device.events(World())) == ["device#1", "device#2"]
