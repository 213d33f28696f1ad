"""Caps at the end of a pipeline."""

import pytest

from anomedge.errors import InputError
from anomedge.resample.levels import Levels
from anomedge.station.sources._caps import frame_of_caps


@pytest.mark.parametrize(
    ("caps", "levels", "expected", "row"),
    [
        ("video/x-raw,format=RGB,width=30,height=4", None, "30x4 rgb", 92),
        (
            "video/x-raw, width=(int)30, height=(int)4, format=(string)BGR, framerate=30/1",
            None,
            "30x4 bgr",
            92,
        ),
        ('video/x-raw,format="GRAY8",width=30,height=4', None, "30x4 grey", 32),
        (
            "video/x-bayer,format=rggb,width=30,height=4",
            None,
            "30x4 bayer_rggb",
            32,
        ),
        (
            "video/x-raw,format=GRAY16_LE,width=30,height=4",
            Levels(0, 4095),
            "30x4 mono16",
            60,
        ),
        (
            "video/x-bayer,format=gbrg12le,width=30,height=4",
            Levels(0, 4095),
            "30x4 bayer_gbrg12",
            60,
        ),
    ],
)
def test_caps_that_state_frames(caps, levels, expected, row):
    found = frame_of_caps(caps, levels)
    assert str(found) == expected
    assert (found.row_size, found.size) == (row, 4 * row)


@pytest.mark.parametrize(
    "caps",
    [
        "",
        "videoconvert",
        "video/x-raw",
        "video/x-raw,format=RGB,width=30",
        "video/x-raw,format=NV12,width=30,height=4",
        "video/x-raw(memory:NVMM),format=RGB,width=30,height=4",
        "video/x-raw,format=RGB,width=[1,30],height=4",
        "image/jpeg,width=30,height=4",
        "video/x-raw,format=rggb,width=30,height=4",
    ],
)
def test_caps_without_one_size_and_a_known_format_are_refused(caps):
    with pytest.raises(InputError, match="expected caps with format, width"):
        frame_of_caps(caps, None)
