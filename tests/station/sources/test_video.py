"""Video files: every frame in order, in RGB."""

import threading

import numpy as np
import pytest

from anomedge.errors import InputError
from anomedge.station.sources.video import VideoSource

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
    items = list(VideoSource(video).events(threading.Event()))
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
    ).events(threading.Event())
    red, _, blue = frame.pixels.mean(axis=(0, 1))
    assert red > 150
    assert blue < 60
    assert frame.pixels.flags.c_contiguous


def test_a_file_without_frames_and_a_picture_are_refused(tmp_path):
    (tmp_path / "no.avi").write_bytes(b"no video")
    with pytest.raises(InputError, match="finds no frame"):
        list(VideoSource(tmp_path / "no.avi").events(threading.Event()))
    with pytest.raises(InputError, match="anomedge predict"):
        VideoSource(tmp_path / "one.png")
