"""Raw frames on standard input: a pipe whose writer ends, stops within a frame, or pauses."""

import io
import os
import threading

import numpy as np
import pytest

from anomedge.errors import InputError, SourceLost
from anomedge.station.sources import FramePolicy, SourceOptions, open_source
from anomedge.station.sources._pixel_format import PIXEL_FORMATS, RawFormat
from anomedge.station.sources.stdin import StdinSource
from tests.station.sources.world import World, nothing, short

GREY = RawFormat(3, 2, PIXEL_FORMATS["grey"])


class Pipe(io.RawIOBase):
    """Gives these pieces, one a read."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)

    def readinto(self, view):
        piece = self.pieces.pop(0) if self.pieces else b""
        view[: len(piece)] = piece
        return len(piece)


def events(*pieces, options=None):
    source = StdinSource(GREY, Pipe(*pieces), options)
    return list(source.events(World(*[nothing] * 9)))


def test_frames_are_read_to_the_end_whatever_the_pieces():
    items = events(b"abcd", b"ef", b"uvwxyz")
    assert [short(item) for item in items] == ["stdin#1", "stdin#2"]
    assert items[0].pixels[..., 1].tobytes() == b"abcdef"
    assert items[1].pixels[1, 2].tolist() == [ord("z")] * 3


def test_a_last_frame_that_is_not_whole_is_unusable():
    items = events(b"abcdef", b"uvw")
    assert [short(item) for item in items] == [
        "stdin#1",
        ("unusable", "stdin#2"),
    ]
    assert "got 3 bytes; expected 6 of 3x2 grey" in items[1].message


def test_no_frame_at_all_is_an_error():
    with pytest.raises(InputError, match="ended before the first byte"):
        events()


def test_a_writer_that_pauses_is_waited_for_on_the_same_pipe():
    reading, writing = os.pipe()
    options = SourceOptions(first_frame=0.05, read_timeout=0.05)
    with io.FileIO(reading) as file:
        source = StdinSource(GREY, file, options)
        world = World(lambda: os.write(writing, b"abcdef"), *[nothing] * 9)
        items = source.events(world)
        assert [short(next(items)) for _ in range(3)] == [
            "waiting",
            "resumed",
            "stdin#1",
        ]
        os.close(writing)
        assert list(items) == []
    assert world.waits == [1]


def test_a_writer_that_stays_away_is_lost_after_the_retries():
    reading, writing = os.pipe()
    options = SourceOptions(first_frame=0.02, retries=1)
    with io.FileIO(reading) as file:
        items = StdinSource(GREY, file, options).events(World(nothing, nothing))
        assert "no frame came within 0.02 s" in next(items).message
        with pytest.raises(SourceLost, match="after 1 attempts to read it"):
            list(items)
        os.close(writing)


def test_the_writer_waits_unless_the_newest_frames_are_asked_for():
    assert not StdinSource(GREY, Pipe()).live
    latest = SourceOptions(frames=FramePolicy.LATEST)
    assert StdinSource(GREY, Pipe(), latest).live


@pytest.mark.parametrize(
    "address",
    ["raw:", "raw:640x480", "raw:640x480:yuv", "raw:-1x2:rgb", "raw:4x4:rgb:"],
)
def test_addresses_that_state_no_frame(address):
    with pytest.raises(InputError, match="expected raw:WIDTHxHEIGHT:FORMAT"):
        open_source(address, SourceOptions())


def test_a_terminal_is_refused(monkeypatch):
    monkeypatch.setattr(os, "isatty", lambda number: True)
    with pytest.raises(InputError, match="a terminal as standard input"):
        open_source("raw:4x4:rgb", SourceOptions())


def test_stop_while_the_writer_pauses_is_prompt():
    reading, writing = os.pipe()
    stop = threading.Event()
    with io.FileIO(reading) as file:
        threading.Timer(0.05, stop.set).start()
        assert list(StdinSource(GREY, file).events(stop)) == []
        os.write(writing, np.zeros(6, np.uint8).tobytes())
        os.close(writing)
