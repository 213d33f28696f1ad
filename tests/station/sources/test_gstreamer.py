"""Pipelines: with a stand-in for gst-launch-1.0, and with GStreamer's test pictures where it is installed."""

import os
import shutil
import threading

import numpy as np
import pytest

from anomedge.errors import InputError
from anomedge.resample.levels import Levels
from anomedge.station.sources import (
    CapturedFrame,
    SourceOptions,
    _gst_launch,
    open_source,
)
from anomedge.station.sources.gstreamer import GStreamerSource
from tests.station.sources.test_gst_launch import stand_in
from tests.station.sources.world import World, nothing, short

posix = pytest.mark.skipif(
    os.name != "posix", reason="gst: needs Linux or macOS"
)
installed = pytest.mark.skipif(
    shutil.which("gst-launch-1.0") is None,
    reason="gst-launch-1.0 is not installed",
)
GREY = "video/x-raw,format=GRAY8,width=4,height=2"


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A folder that is the first of $PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def events(pipeline, *moves, **options):
    source = open_source(f"gst:{pipeline}", SourceOptions(**options))
    return list(source.events(World(*moves)))


@posix
def test_the_end_is_a_lost_connection_and_with_once_it_is_the_end(path):
    stand_in(path, "send(b'abcdefgh'); send(b'stuvwxyz')")
    again = events(f"src ! {GREY}", nothing)
    assert [short(item) for item in again] == [
        "gst:src#1", "gst:src#2", "waiting", "resumed",
        "gst:src#3", "gst:src#4", "waiting",
    ]  # fmt: skip
    assert again[0].pixels[..., 2].tobytes() == b"abcdefgh"
    assert "the pipeline ended; attempt 1 to restart it" in again[2].message
    once = events(f"src ! {GREY}", once=True)
    assert [short(item) for item in once] == ["gst:src#1", "gst:src#2"]


@posix
def test_frames_of_another_size_and_cut_short_are_unusable(path):
    stand_in(
        path,
        "send(b'abc'); send(b'abcdefgh'); out.write(b'--anomedge\\r\\nContent-Length: 8\\r\\n\\r\\nabcd')",
    )
    items = events(f"src ! {GREY}", once=True)
    assert [short(item) for item in items] == [
        ("unusable", "gst:src#1"),
        "gst:src#2",
        ("unusable", "gst:src#3"),
    ]
    assert "got 4 bytes; expected 8 of 4x2 grey" in items[2].message


@posix
def test_a_pipeline_that_hangs_is_killed_and_restarted(path):
    marker = path / "hung"
    stand_in(
        path,
        f"first = not os.path.exists({str(marker)!r}); open({str(marker)!r}, 'w')\n"
        "if first: time.sleep(60)\n"
        "send(b'abcdefgh')",
    )
    moves = [nothing] * 9  # a busy machine may need several attempts
    items = events(f"src ! {GREY}", *moves, first_frame=0.5, once=True)
    assert "no frame came within 0.5 s" in items[0].message
    assert [short(item) for item in items[-2:]] == ["resumed", "gst:src#1"]


@posix
def test_once_without_a_frame_is_an_error(path):
    stand_in(path, "")
    with pytest.raises(InputError, match="gst:src ended without a frame"):
        events(f"src ! {GREY}", once=True)


@posix
def test_stop_ends_the_process(path, monkeypatch):
    started = []
    start = _gst_launch._started

    def record(*arguments):
        started.append(start(*arguments))
        return started[-1]

    monkeypatch.setattr(_gst_launch, "_started", record)
    stand_in(path, "send(b'abcdefgh'); time.sleep(60)")
    source = open_source(f"gst:src ! {GREY}", SourceOptions())
    items = source.events(threading.Event())
    assert short(next(items)) == "gst:src#1"
    items.close()
    assert started[0].returncode == -9


@posix
def test_titles_hold_no_properties_and_pipelines_need_caps(path):
    stand_in(path, "")
    secret = f"gst:rtspsrc location=rtsp://me:secret@camera ! {GREY}"
    assert GStreamerSource(secret).title == "gst:rtspsrc"
    for wrong in ("gst:", "gst:src", "gst:src ! videoconvert"):
        with pytest.raises(InputError, match="expected caps with format"):
            GStreamerSource(wrong)
    with pytest.raises(InputError, match="quotes closed"):
        GStreamerSource(f"gst:src location='a ! {GREY}")


def pictures(pipeline, **options):
    """The frames of a pipeline with a test source, run to its end."""
    items = events(pipeline, once=True, **options)
    assert all(isinstance(item, CapturedFrame) for item in items), items
    return [item.pixels for item in items]


@installed
def test_rows_that_gstreamer_pads_are_read():
    """Solid colours in odd widths, whose rows are padded."""
    found = pictures(
        "videotestsrc num-buffers=2 pattern=solid-color foreground-color=0xFF0A1EC8 "
        "! videoconvert ! video/x-raw,format=RGB,width=31,height=5"
    )
    assert len(found) == 2
    for frame in found:
        assert frame.shape == (5, 31, 3)
        assert np.unique(frame.reshape(-1, 3), axis=0).tolist() == [
            [10, 30, 200]
        ]


@installed
def test_a_mosaic_of_gstreamer_is_its_colour_picture():
    bars = "videotestsrc num-buffers=1 pattern=smpte75 !"
    size = "width=70,height=40"
    for pattern in ("rggb", "bggr", "grbg", "gbrg"):
        (raw,) = pictures(f"{bars} video/x-bayer,format={pattern},{size}")
        (rgb,) = pictures(f"{bars} video/x-raw,format=RGB,{size}")
        middle = np.s_[4:20, 4::10]  # inside the bars
        assert np.abs(raw[middle].astype(int) - rgb[middle]).max() <= 1


@installed
def test_deep_grey_of_gstreamer_goes_through_the_levels():
    caps = "format=GRAY16_LE,width=64,height=2"
    ramp = f"videotestsrc num-buffers=1 pattern=gradient ! video/x-raw,{caps}"
    (deep,) = pictures(ramp, levels=Levels(0, 65535))
    eight = ramp.replace("GRAY16_LE", "GRAY8")
    (grey,) = pictures(eight)
    assert np.abs(deep.astype(int) - grey).max() <= 1


@installed
@pytest.mark.parametrize(
    "pipeline",
    ["nosuchelement", "videotestsrc ! audioconvert", "( videotestsrc"],
)
def test_pipelines_that_gstreamer_refuses_are_wrong_use(pipeline):
    with pytest.raises(InputError, match="a pipeline that GStreamer refuses"):
        events(f"{pipeline} ! {GREY}", nothing)


@installed
def test_a_device_that_is_missing_is_waited_for():
    items = events(f"filesrc location=/no/such ! {GREY}", nothing)
    assert [short(item) for item in items] == ["waiting", "waiting"]
    assert "ERROR: from element" in items[0].message
