"""OpenCV is optional; its absence is reported with the extra to install."""

import sys

import pytest

from anomedge.errors import RuntimeMissing
from anomedge.station.sources.camera import CameraSource
from anomedge.station.sources.video import VideoSource


def test_without_opencv_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "cv2", None)
    for make in (
        lambda: CameraSource("0"),
        lambda: VideoSource(tmp_path / "a.avi"),
    ):
        with pytest.raises(RuntimeMissing, match=r"'\.\[camera\]'"):
            make()
