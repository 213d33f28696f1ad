"""Addresses of live sources are none of a folder or a file, even if one has that name."""

import pytest

from anomedge.station.sources import SOURCES
from anomedge.station.sources._addresses import is_live
from anomedge.station.sources._live import LiveSource


@pytest.mark.parametrize(
    "address", ["3", "gst:a ! b", "raw:1x1:grey", "/dev/video7", "http://a"]
)
def test_live_addresses(address):
    assert is_live(address)


def test_paths_are_not():
    for address in ("./3", "frames/", "gst", "/dev/shm", "clip.avi"):  # noqa: S108
        assert not is_live(address)


def test_every_live_source_of_the_package_is_known():
    live = {
        name
        for name, kind in SOURCES.members().items()
        if issubclass(kind, LiveSource)
    }
    assert live == {"camera", "gstreamer", "stdin", "v4l2"}
