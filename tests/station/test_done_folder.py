"""Decided files are moved away; none is replaced, and no new part goes with them."""

import errno
import os

import pytest

from anomedge.errors import InputError, OutputError
from anomedge.station.done_folder import DoneFolder
from anomedge.station.outcome import Outcome
from anomedge.station.sources._listing import stamp_of


@pytest.fixture
def source(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


@pytest.fixture
def done(tmp_path, source):
    folder = DoneFolder(tmp_path / "done", source)
    folder.said = []
    folder.report = lambda name, message: folder.said.append((name, message))
    return folder


def outcome(source, text, name="a.png"):
    (source / name).write_text(text)
    path = source / name
    return Outcome("{}", name, "normal", path=path, stamp=stamp_of(path))


def no_links(*_):
    raise OSError(errno.EXDEV, "Invalid cross-device link")


@pytest.mark.parametrize("other_disk", [False, True])
def test_no_file_is_replaced(done, source, other_disk, monkeypatch):
    if other_disk:
        monkeypatch.setattr(os, "link", no_links)
    for text in "xyz":
        done.run(outcome(source, text))
    found = {path.name: path.read_text() for path in done.folder.iterdir()}
    assert found == {"a.png": "x", "a-1.png": "y", "a-2.png": "z"}
    assert list(source.iterdir()) == []


def test_a_file_that_was_overwritten_or_taken_away_is_left_alone(done, source):
    old = outcome(source, "old")
    (source / "a.png").write_text("a new part")
    done.run(old)
    assert (source / "a.png").read_text() == "a new part"
    (source / "a.png").unlink()
    done.run(old)
    assert list(done.folder.iterdir()) == done.said == []


def test_a_move_that_a_kill_interrupted_is_finished(done, source):
    half = outcome(source, "x")
    os.link(half.path, done.folder / "a.png")
    done.run(half)
    assert [path.name for path in done.folder.iterdir()] == ["a.png"]
    assert list(source.iterdir()) == []


def test_a_move_that_fails_is_said_and_the_file_stays(
    done, source, monkeypatch
):
    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr("shutil.copy2", no_links)
    done.run(outcome(source, "x"))
    assert (source / "a.png").read_text() == "x"
    ((name, message),) = done.said
    assert (name, "--done could not move" in message) == ("a.png", True)


def test_the_watched_folder_and_a_file_are_refused(tmp_path, source):
    with pytest.raises(InputError, match="the watched folder"):
        DoneFolder(source, source)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="give --done a folder"):
        DoneFolder(tmp_path / "file" / "done", source)
