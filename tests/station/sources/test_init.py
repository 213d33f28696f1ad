"""Choice of the source of an address, and refusal of options that it does not take."""

from pathlib import Path

import pytest

from anomedge.errors import InputError
from anomedge.station.sources import (
    SOURCES,
    Source,
    SourceOptions,
    open_source,
)


def test_every_module_of_the_package_is_a_source():
    folder = Path(__file__).parents[3] / "anomedge" / "station" / "sources"
    modules = {path.stem for path in folder.glob("[a-z]*.py")} - {"base"}
    assert set(SOURCES.names()) == modules


@pytest.mark.parametrize("name", SOURCES.names())
def test_every_source_states_its_addresses_and_takes_known_options(name):
    kind = SOURCES.get(name)
    assert kind.address_help
    assert kind.takes <= {
        "once",
        "new",
        "retries",
        "levels",
        "order",
        "settle",
        "frames",
        "read_timeout",
        "first_frame",
    }
    assert not kind.accepts("no-such-video.avi")
    assert not kind.accepts("no-such-scheme://address")


def test_a_path_that_does_not_exist_is_a_folder_unless_it_has_a_suffix(
    tmp_path,
):
    for name in ("in", "in.1/", "a.b/in"):
        assert accepting(f"{tmp_path}/{name}") == ["folder"]
    for name in ("in.1", "clip.avi", "a.png"):
        assert accepting(f"{tmp_path}/{name}") == []


def test_a_number_is_a_camera_even_if_a_folder_has_that_name(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("0").mkdir()
    Path("1").write_bytes(b"")
    assert accepting("0") == ["camera"]
    assert accepting("1") == ["camera"]
    assert accepting("./0") == ["folder"]
    assert accepting("./1") == ["video"]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("gst:videotestsrc ! video/x-raw", "gstreamer"),
        ("raw:640x480:rgb", "stdin"),
        ("/dev/video0", "v4l2"),
        ("/dev/v4l/by-id/usb-camera-index0?width=640", "v4l2"),
        ("rtsp://camera/1", "camera"),
    ],
)
def test_addresses_of_live_sources_are_no_folders(address, name):
    assert accepting(address) == [name]


def test_digits_of_other_scripts_are_a_folders_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("\N{ARABIC-INDIC DIGIT THREE}").mkdir()
    assert accepting("\N{ARABIC-INDIC DIGIT THREE}") == ["folder"]


def accepting(address):
    return [
        name
        for name, kind in SOURCES.members().items()
        if kind.accepts(address)
    ]


def test_an_address_of_two_sources_is_refused(tmp_path, monkeypatch):
    from anomedge.station.sources.video import VideoSource

    monkeypatch.setattr(VideoSource, "accepts", lambda address: True)
    with pytest.raises(
        InputError, match="which the sources folder and video accept"
    ):
        open_source(str(tmp_path), SourceOptions())


def test_foreign_options_are_refused_and_defaults_are_not(tmp_path):
    with pytest.raises(
        InputError,
        match=r"got --retries with .*, a folder; expected a camera or ",
    ):
        open_source(str(tmp_path), SourceOptions(retries=0))
    with pytest.raises(
        InputError, match=r"got --first-frame with .*, a folder"
    ):
        open_source(str(tmp_path), SourceOptions(first_frame=1.0))
    source = open_source(str(tmp_path), SourceOptions(new=True, poll=3.0))
    assert isinstance(source, Source)
    assert (source.poll, source.folder) == (3.0, tmp_path)
