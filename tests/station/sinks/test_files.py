"""Lines are appended as a whole, whatever the file looks like."""

import os

import pytest

from anomedge.errors import InputError
from anomedge.station.sinks._files import LineFile, checked_path
from anomedge.station.sinks.base import SinkDown


def test_the_first_line_is_written_once(tmp_path):
    path = tmp_path / "a.csv"
    LineFile(path, b"head\n").append(b"1\n")
    LineFile(path, b"head\n").append(b"2\n")
    assert path.read_bytes() == b"head\n1\n2\n"


def test_a_torn_line_stays_alone(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n{"b')
    LineFile(path).append(b"{}\n")
    assert path.read_bytes() == b'{"a": 1}\n{"b\n{}\n'


def test_a_rotated_file_is_left(tmp_path):
    path = tmp_path / "a.jsonl"
    file = LineFile(path)
    file.append(b"1\n")
    path.rename(tmp_path / "a.jsonl.1")
    file.append(b"2\n")
    assert (tmp_path / "a.jsonl.1").read_bytes() == b"1\n"
    assert path.read_bytes() == b"2\n"
    path.unlink()
    file.sync()


def test_a_full_disk_leaves_no_torn_line(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    file = LineFile(path)
    file.append(b"1\n")
    write, calls = os.write, []

    def full(descriptor, data):
        calls.append(data)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:3])

    monkeypatch.setattr("anomedge.station.sinks._files.os.write", full)
    with pytest.raises(SinkDown, match="No space left") as down:
        file.append(b"12345\n")
    assert not down.value.sent
    assert path.read_bytes() == b"1\n"
    monkeypatch.undo()
    file.append(b"12345\n")
    assert path.read_bytes() == b"1\n12345\n"


def test_paths_are_checked_before_inspection(tmp_path):
    with pytest.raises(InputError, match="a folder; expected a file"):
        checked_path(str(tmp_path))
    with pytest.raises(InputError, match="create "):
        checked_path(str(tmp_path / "missing" / "a.csv"))
