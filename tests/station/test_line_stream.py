"""Whole lines on a disk that gets full: no torn line, and the missing ones are counted."""

import errno
import io
import json
import os

import pytest

from anomedge.station import EventWriter, line_stream
from anomedge.station.line_stream import LineStream

pytestmark = pytest.mark.skipif(
    os.name == "nt", reason="files as POSIX has them"
)


class Disk:
    """Takes a number of bytes, then part of a line and no more."""

    def __init__(self, monkeypatch, space):
        self.space, self.write = space, os.write
        monkeypatch.setattr(line_stream.os, "write", self.take)

    def take(self, number, content):
        if self.space <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        part = content[: self.space]
        self.space -= len(part)
        return self.write(number, part)


@pytest.mark.parametrize("mode", ["w", "a"])
def test_a_line_that_a_full_disk_cuts_is_removed(tmp_path, monkeypatch, mode):
    path = tmp_path / "log"
    path.write_text("earlier\n")
    with path.open(mode) as file:
        lines = LineStream(file)
        disk = Disk(monkeypatch, 8)
        assert lines.write("first")
        assert not lines.write("second")
        assert not lines.write("third")
        disk.space = 100
        assert lines.write("fourth")
        assert lines.lost == 2
    found = path.read_text().splitlines()
    assert found == ["earlier"] * (mode == "a") + ["first", "fourth"]


def test_a_torn_line_that_cannot_be_removed_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(line_stream, "_cut", lambda *_: False)
    with (tmp_path / "log").open("a") as file:
        lines = LineStream(file)
        disk = Disk(monkeypatch, 3)
        assert not lines.write("first")
        disk.space = 100
        assert lines.write("second")
        assert lines.write("third")
    assert (tmp_path / "log").read_text() == "fir\nsecond\nthird\n"


def test_lines_of_another_program_are_not_removed(tmp_path, monkeypatch):
    path = tmp_path / "log"
    with path.open("a") as file:
        lines = LineStream(file)
        disk = Disk(monkeypatch, 3)
        take = disk.take

        def shared(number, content):
            if disk.space <= 0:
                with path.open("a") as other:
                    disk.write(other.fileno(), b"|other\n")
            return take(number, content)

        monkeypatch.setattr(line_stream.os, "write", shared)
        assert not lines.write("first")
    assert path.read_text() == "fir|other\n"


def test_other_errors_are_raised(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(line_stream.os, "write", fail)
    with (
        (tmp_path / "log").open("w") as file,
        pytest.raises(OSError, match="Input"),
    ):
        LineStream(file).write("first")


def test_a_stream_in_memory_is_written():
    stream = io.StringIO()
    assert LineStream(stream).write("first")
    assert stream.getvalue() == "first\n"


def test_missing_lines_are_counted_where_they_are_missing(
    tmp_path, monkeypatch
):
    path, said = tmp_path / "log", []
    with path.open("w") as file:
        output = EventWriter(file, warn=said.append)
        disk = Disk(monkeypatch, 80)
        for number in range(4):
            output.write("frame", number=number)
        assert (output.closed, output.unwritten) == (False, 3)
        disk.space = 10_000
        output.write("frame", number=4)
        output.write("frame", number=5)
        assert "3 output lines were not written" in str(output.failure)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line.get("number") for line in lines] == [0, None, 4, 5]
    assert (lines[1]["event"], lines[1]["count"]) == ("unwritten", 3)
    assert [text.split(";")[0] for text in said] == [
        "no space for the output lines",
        "output lines are written again",
    ]
