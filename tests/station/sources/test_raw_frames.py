"""Frames from bytes."""

import io

import numpy as np

from anomedge.resample.levels import Levels
from anomedge.station.sources import CapturedFrame, UnusableFrame
from anomedge.station.sources._pixel_format import PIXEL_FORMATS, RawFormat
from anomedge.station.sources._raw_frames import read_into, shot_of


def test_reading_ends_with_the_file():
    content = np.zeros(5, np.uint8)
    assert read_into(io.BytesIO(b"abcdefgh"), content) == 5
    assert content.tobytes() == b"abcde"
    assert read_into(io.BytesIO(b"xyz"), content) == 3


def test_other_sizes_and_values_are_unusable_frames():
    frame = RawFormat(2, 1, PIXEL_FORMATS["mono12"], Levels(0, 4095))
    good = shot_of(frame, np.array([1, 0, 2, 0], np.uint8), 7, "line")
    assert isinstance(good, CapturedFrame)
    assert (good.number, good.name) == (7, "line#7")
    for content in ([0, 0, 0, 16], [0, 0], [0] * 6):
        bad = shot_of(frame, np.array(content, np.uint8), 7, "line")
        assert isinstance(bad, UnusableFrame)
        assert bad.message.startswith("line#7: got ")
