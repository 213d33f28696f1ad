"""Videos and cameras as a station meets them: every frame in order; gone, back, and gone again."""

import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from anomedge.errors import InputError, RuntimeMissing
from anomedge.station import sources
from anomedge.station.sources import (
    CameraSource,
    Captured,
    Notice,
    VideoSource,
    is_camera,
)
from tests.station.test_sources import World, nothing, short

GREYS = [10 * step + 5 for step in range(20)]


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(
        tmp_path_factory.mktemp("video") / "greys.avi",
        [(grey, grey, grey) for grey in GREYS],
    )


def write_video(path, colours, size=(128, 96)):
    import cv2

    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, size
    )
    assert writer.isOpened()
    for red, green, blue in colours:
        writer.write(
            np.full((size[1], size[0], 3), (blue, green, red), np.uint8)
        )
    writer.release()
    return path


def test_a_video_gives_every_frame_in_order(video):
    items = list(VideoSource(video).items(threading.Event()))
    assert [item.number for item in items] == list(range(1, 21))
    assert [item.name for item in items][:2] == ["greys.avi#1", "greys.avi#2"]
    assert [
        abs(float(item.pixels.mean()) - grey) < 4
        for item, grey in zip(items, GREYS, strict=True)
    ] == [True] * 20
    assert {item.pixels.shape for item in items} == {(96, 128, 3)}
    assert {item.path for item in items} == {None}


def test_a_video_is_rgb(tmp_path):
    (frame,) = VideoSource(
        write_video(tmp_path / "red.avi", [(200, 20, 20)])
    ).items(threading.Event())
    red, _, blue = frame.pixels.mean(axis=(0, 1))
    assert red > 150
    assert blue < 60
    assert frame.pixels.flags.c_contiguous


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "no.avi").write_bytes(b"no video")
    with pytest.raises(InputError, match="finds no frame"):
        list(VideoSource(tmp_path / "no.avi").items(threading.Event()))
    with pytest.raises(InputError, match="anomedge predict"):
        VideoSource(tmp_path / "one.png")


def test_without_opencv_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "cv2", None)
    for make in (
        lambda: CameraSource("0"),
        lambda: VideoSource(tmp_path / "a.avi"),
    ):
        with pytest.raises(RuntimeMissing, match=r"anomedge\[camera\]"):
            make()


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
    monkeypatch.setattr(sources, "_opencv", lambda: fake)
    return made, asked


def shot(grey=0):
    return np.full((4, 6, 3), grey, np.uint8)


def test_a_camera_is_reopened_and_numbers_go_on(monkeypatch):
    made, asked = fake_opencv(monkeypatch, [shot(1), shot(2)], [], [shot(3)])
    world = World(nothing, nothing)
    items = list(CameraSource("3").items(world))
    assert [short(item) for item in items] == [
        "camera3#1", "camera3#2", "waiting", "waiting", "resumed", "camera3#3", "waiting",
    ]  # fmt: skip
    assert [
        item.pixels.max() for item in items if isinstance(item, Captured)
    ] == [1, 2, 3]
    assert world.waits == [1, 2, 1]  # a frame starts the waiting over
    assert [item.seconds for item in items if isinstance(item, Notice)] == [
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
    assert {short(item) for item in CameraSource("0").items(world)} == {
        "waiting"
    }
    assert world.waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_camera_gives_up_after_its_retries(monkeypatch):
    fake_opencv(monkeypatch, [shot()])
    items = CameraSource("0", retries=2).items(World(*[nothing] * 9))
    assert [short(next(items)) for _ in range(3)] == [
        "camera0#1",
        "waiting",
        "waiting",
    ]
    with pytest.raises(InputError, match="no frame after 2 attempts"):
        next(items)


def test_errors_of_opencv_count_as_no_frame(monkeypatch):
    fake_opencv(
        monkeypatch, CvError("no backend"), [shot(), CvError("lost")], [shot()]
    )
    found = [
        short(item) for item in CameraSource("0").items(World(nothing, nothing))
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


def test_frames_of_another_kind_are_troubles(monkeypatch):
    fake_opencv(
        monkeypatch,
        [np.zeros((4, 6), np.uint8), np.zeros((4, 6, 3), np.uint16), shot()],
    )
    items = list(CameraSource("0").items(World()))
    assert [short(item) for item in items[:3]] == [
        ("trouble", "camera0#1"),
        ("trouble", "camera0#2"),
        "camera0#3",
    ]
    assert "got uint8 (4, 6)" in items[0].message


def test_passwords_stay_out_of_names(monkeypatch):
    _, asked = fake_opencv(monkeypatch, [shot()])
    url = "rtsp://me:secret@camera:554/live?token=hidden"
    source = CameraSource(url)
    items = list(source.items(World()))
    assert source.name == "rtsp://camera:554/live"
    assert "secret" not in str([vars(item) for item in items])
    assert "hidden" not in str([vars(item) for item in items])
    assert asked[0][0] == url
    assert asked[0][2][1] == asked[0][2][3] == 5000


@pytest.mark.parametrize(
    "text", ["", "-1", "camera", "file:///x", "0x", "²", "./0"]
)
def test_what_is_no_camera(text):
    assert not is_camera(text)
