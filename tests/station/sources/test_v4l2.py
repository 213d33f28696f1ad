"""V4L2 devices, with a stand-in for OpenCV: no device was there when these tests were written."""

import sys
from types import SimpleNamespace

import pytest

from anomedge.errors import InputError
from anomedge.station.sources import SourceOptions, _opencv, open_source
from tests.station.sources.test_camera import CvError, FakeCapture, shot
from tests.station.sources.world import World, nothing, short


def fourcc(text):
    return int.from_bytes(text.encode(), "little")


class Device(FakeCapture):
    """A device that takes the settings that it has."""

    def __init__(self, frames, **has):
        super().__init__(frames)
        self.has, self.asked = has, []

    def isOpened(self):  # noqa: N802 - OpenCV's name
        return bool(self.has)

    def get(self, name):
        return self.has.get(name, 0)

    def set(self, name, value):
        self.asked.append((name, value))


def events(monkeypatch, address, *devices):
    left, opened = list(devices), []

    def capture(*arguments):
        opened.append(arguments)
        return left.pop(0) if left else Device([])

    names = ("FRAME_WIDTH", "FRAME_HEIGHT", "FPS", "FOURCC")
    fake = SimpleNamespace(
        VideoCapture=capture,
        VideoWriter_fourcc=lambda *letters: fourcc("".join(letters)),
        CAP_V4L2="v4l2",
        error=CvError,
        **{f"CAP_PROP_{name}": name for name in names},
    )
    monkeypatch.setattr(_opencv, "load_opencv", lambda: fake)
    source = open_source(address, SourceOptions())
    return list(source.events(World(nothing))), opened


def test_a_device_is_opened_by_its_path(monkeypatch):
    device = Device([shot()], FOURCC=fourcc("YUYV"))
    items, opened = events(monkeypatch, "/dev/video3", device)
    assert [short(item) for item in items] == [
        "/dev/video3#1",
        "waiting",
        "waiting",
    ]
    assert "cannot be opened" in items[2].message
    assert opened == [("/dev/video3", "v4l2")] * 2
    assert (device.released, device.asked) == (True, [])


def test_settings_are_made_and_checked(monkeypatch):
    address = "/dev/v4l/by-id/a?width=1280&fps=30&fourcc=MJPG"
    good = {"FRAME_WIDTH": 1280, "FPS": 30.0, "FOURCC": fourcc("MJPG")}
    device, other = Device([shot()], **good), Device([shot()], **good)
    other.has["FRAME_WIDTH"] = 640
    items, _ = events(monkeypatch, address, other, device)
    assert items[0].message.startswith("got width 640, not 1280; attempt 1")
    assert other.released
    assert short(items[2]) == "/dev/v4l/by-id/a#1"
    assert device.asked == [
        ("FOURCC", fourcc("MJPG")),
        ("FRAME_WIDTH", 1280),
        ("FPS", 30),
    ]


@pytest.mark.parametrize("form", ["Y16 ", "Y12 ", "RGGB"])
def test_formats_that_opencv_reduces_are_refused(monkeypatch, form):
    device = Device([shot()], FOURCC=fourcc(form))
    with pytest.raises(InputError, match=f"pixel format {form.strip()}, which"):
        events(monkeypatch, "/dev/video0", device)
    assert device.released


@pytest.mark.parametrize(
    "query", ["width=a", "size=4", "fourcc=MJPEG", "width=-1"]
)
def test_unknown_settings_are_refused(monkeypatch, query):
    with pytest.raises(InputError, match="expected settings such as"):
        events(monkeypatch, f"/dev/video0?{query}")


@pytest.mark.skipif(sys.platform != "linux", reason="V4L2 is of Linux")
def test_a_missing_device_is_waited_for(monkeypatch):
    pytest.importorskip("cv2")
    monkeypatch.setenv("OPENCV_LOG_LEVEL", "OFF")
    source = open_source("/dev/video4093", SourceOptions())
    items = list(source.events(World(nothing)))
    assert [short(item) for item in items] == ["waiting", "waiting"]
