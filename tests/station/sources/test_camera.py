"""Cameras that fail, return, and fail again."""

from types import SimpleNamespace

import numpy as np
import pytest

from anomedge.errors import SourceLost
from anomedge.station.sources import (
    CapturedFrame,
    ConnectionChange,
    SourceOptions,
    _opencv,
)
from anomedge.station.sources.camera import CameraSource
from tests.station.sources.world import World, nothing, short


class CvError(Exception):
    pass


class FakeCapture:
    """Gives what it was made with; then fails, as OpenCV does, or raises what it was given."""

    def __init__(self, frames):
        self.frames, self.released = list(frames), False

    def read(self):
        if not self.frames:
            return False, None
        frame = self.frames.pop(0)
        if isinstance(frame, Exception):
            raise frame
        return True, frame

    def release(self):
        self.released = True


def fake_opencv(monkeypatch, *openings):
    """OpenCV whose captures deliver these frames, one list an opening, and then never any more."""
    left, made, asked = list(openings), [], []

    def capture(*arguments):
        asked.append(arguments)
        frames = left.pop(0) if left else []
        if isinstance(frames, Exception):
            raise frames
        made.append(FakeCapture(frames))
        return made[-1]

    names = (
        "CAP_ANY",
        "CAP_PROP_OPEN_TIMEOUT_MSEC",
        "CAP_PROP_READ_TIMEOUT_MSEC",
    )
    fake = SimpleNamespace(
        VideoCapture=capture, error=CvError, **{name: name for name in names}
    )
    monkeypatch.setattr(_opencv, "load_opencv", lambda: fake)
    return made, asked


def shot(grey=0):
    return np.full((4, 6, 3), grey, np.uint8)


def test_a_camera_is_reopened_and_numbers_go_on(monkeypatch):
    made, asked = fake_opencv(monkeypatch, [shot(1), shot(2)], [], [shot(3)])
    world = World(nothing, nothing)
    items = list(CameraSource("3").events(world))
    assert [short(item) for item in items] == [
        "camera3#1", "camera3#2", "waiting", "waiting", "resumed", "camera3#3", "waiting",
    ]  # fmt: skip
    assert [
        item.pixels.max() for item in items if isinstance(item, CapturedFrame)
    ] == [1, 2, 3]
    assert world.waits == [1, 2, 1]  # a frame starts the waiting over
    assert [
        item.seconds for item in items if isinstance(item, ConnectionChange)
    ] == [
        1,
        2,
        0,
        1,
    ]
    assert asked == [(3,)] * 3
    assert all(capture.released for capture in made)


def test_a_camera_waits_twice_as_long_each_time_up_to_30_seconds(monkeypatch):
    fake_opencv(monkeypatch)
    world = World(*[nothing] * 7)
    assert {short(item) for item in CameraSource("0").events(world)} == {
        "waiting"
    }
    assert world.waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_camera_gives_up_after_its_retries(monkeypatch):
    fake_opencv(monkeypatch, [shot()])
    items = CameraSource("0", SourceOptions(retries=2)).events(
        World(*[nothing] * 9)
    )
    assert [short(next(items)) for _ in range(3)] == [
        "camera0#1",
        "waiting",
        "waiting",
    ]
    with pytest.raises(SourceLost, match="no frame after 2 attempts"):
        next(items)


def test_errors_of_opencv_count_as_no_frame(monkeypatch):
    fake_opencv(
        monkeypatch, CvError("no backend"), [shot(), CvError("lost")], [shot()]
    )
    found = [
        short(item)
        for item in CameraSource("0").events(World(nothing, nothing))
    ]
    assert found == [
        "waiting",
        "resumed",
        "camera0#1",
        "waiting",
        "resumed",
        "camera0#2",
        "waiting",
    ]


def test_frames_of_another_dtype_or_rank_are_unusable(monkeypatch):
    fake_opencv(
        monkeypatch,
        [np.zeros((4, 6), np.uint8), np.zeros((4, 6, 3), np.uint16), shot()],
    )
    items = list(CameraSource("0").events(World()))
    assert [short(item) for item in items[:3]] == [
        ("unusable", "camera0#1"),
        ("unusable", "camera0#2"),
        "camera0#3",
    ]
    assert "got uint8 (4, 6)" in items[0].message


def test_passwords_stay_out_of_names(monkeypatch):
    _, asked = fake_opencv(monkeypatch, [shot()])
    url = "rtsp://me:secret@camera:554/live?token=hidden"
    source = CameraSource(url)
    items = list(source.events(World()))
    assert source.title == "rtsp://camera:554/live"
    assert "secret" not in str([vars(item) for item in items])
    assert "hidden" not in str([vars(item) for item in items])
    assert asked[0][0] == url
    assert asked[0][2][1::2] == [10_000, 5000]


def test_opencv_gets_the_time_limits_of_a_stream(monkeypatch):
    _, asked = fake_opencv(monkeypatch, [shot()])
    options = SourceOptions(first_frame=20, read_timeout=0)
    list(CameraSource("rtsp://camera", options).events(World()))
    assert asked[0][2][1::2] == [20_000, 0]


@pytest.mark.parametrize(
    "text", ["", "-1", "camera", "file:///x", "0x", "²", "./0"]
)
def test_addresses_that_are_no_camera(text):
    assert not CameraSource.accepts(text)
