"""Notifications of the system: they make a source look sooner, and their absence changes nothing else."""

import os
import sys
import threading
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from anomedge.station.sources import SourceOptions, open_source
from anomedge.station.sources import folder as folder_module
from anomedge.station.sources._notify import FolderWatch
from anomedge.station.sources.folder import FolderSource
from tests.station.sources.world import World, nothing, short


class FakeNotify:
    """As `watchfiles` gives it: sets of (kind of change, path), or a word."""

    answers = ()

    def __init__(self, paths, *_):
        self.paths, self.waits = paths, []
        self.left = list(self.answers)

    def watch(self, _, __, timeout, ___):
        self.waits.append(timeout)
        answer = self.left.pop(0) if self.left else "timeout"
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def notify(monkeypatch):
    """A system that gives the notifications of `FakeNotify.answers`."""
    module = ModuleType("watchfiles._rust_notify")
    module.RustNotify = FakeNotify
    monkeypatch.setitem(sys.modules, "watchfiles", ModuleType("watchfiles"))
    monkeypatch.setitem(sys.modules, "watchfiles._rust_notify", module)
    monkeypatch.setattr(FakeNotify, "answers", ())
    return FakeNotify


def png(path):
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(path, format="PNG")
    return path


def test_names_that_came_or_changed_are_returned(notify, tmp_path):
    notify.answers = [{(1, "/in/a.png"), (2, "/in/b.png"), (3, "/in/c.png")}]
    watch = FolderWatch.open(tmp_path)
    assert watch.wait(threading.Event(), 5) == {"a.png", "b.png"}
    assert watch._notify.paths == [str(tmp_path)]


def test_files_that_were_only_deleted_are_waited_beyond(notify, tmp_path):
    notify.answers = [{(3, "/in/c.png")}, {(1, "/in/a.png")}]
    assert FolderWatch.open(tmp_path).wait(threading.Event(), 5) == {"a.png"}


@pytest.mark.parametrize("word", ["timeout", "stop", "signal"])
def test_the_end_of_a_wait_has_no_names(notify, tmp_path, word):
    notify.answers = [word, {(1, "/in/a.png")}]
    assert FolderWatch.open(tmp_path).wait(threading.Event(), 5) == set()


def test_no_time_is_not_the_unlimited_time_of_the_library(notify, tmp_path):
    watch = FolderWatch.open(tmp_path)
    watch.wait(threading.Event(), 0)
    assert watch._notify.waits == [1]


def test_an_error_of_the_library_means_polling(notify, tmp_path):
    notify.answers = [RuntimeError("error in the Rust part")]
    world = World(nothing)
    assert FolderWatch.open(tmp_path).wait(world, 5) == set()
    assert world.waits == [5]


def test_a_set_stop_flag_ends_the_wait(notify, tmp_path):
    notify.answers = [{(1, "/in/a.png")}]
    stop = threading.Event()
    stop.set()
    assert FolderWatch.open(tmp_path).wait(stop, 5) == set()


def test_without_the_extra_or_a_watch_the_folder_is_polled(
    notify, tmp_path, monkeypatch
):
    def refuse(*_):
        raise OSError("too many watches")

    png(tmp_path / "a.png")
    monkeypatch.setattr(notify, "__init__", refuse)
    assert FolderWatch.open(tmp_path) is None
    monkeypatch.setitem(sys.modules, "watchfiles._rust_notify", None)
    assert FolderWatch.open(tmp_path) is None
    items = FolderSource(tmp_path, settle=0, notify=True).events(World(nothing))
    assert [short(item) for item in items] == ["a.png"]


class Moves:
    """A watch that makes the moves of a `World` and tells the names that each returns."""

    opened = 0

    def __init__(self):
        Moves.opened += 1

    def wait(self, stop, _):
        stop.wait(0)
        names, stop.names = stop.names, []
        return frozenset(names)

    def close(self):
        pass


@pytest.fixture
def watched(monkeypatch):
    """Folders are watched; time passes only while a source waits."""
    monkeypatch.setattr(Moves, "opened", 0)
    monkeypatch.setattr(Moves, "open", lambda _: Moves(), raising=False)
    monkeypatch.setattr(folder_module, "FolderWatch", Moves)
    monkeypatch.setattr(World, "now", 0.0)
    monkeypatch.setattr(folder_module, "monotonic", lambda: World.now)


def tell(*names, after=nothing):
    """A move that changes the folder and notifies these names."""

    def move(world):
        after()
        world.names += names

    return move


def events_of(source, *moves):
    world = World()
    world.names = []
    world.moves = iter([lambda move=move: move(world) for move in moves])
    return [short(item) for item in source.events(world)], world


def test_a_notified_file_is_read_without_another_listing(
    tmp_path, watched, monkeypatch
):
    listings = []
    listed = folder_module.list_folder
    monkeypatch.setattr(
        folder_module,
        "list_folder",
        lambda folder: listings.append(1) or listed(folder),
    )
    source = FolderSource(tmp_path, poll=30, settle=0, notify=True)
    moves = [
        tell("a.png", after=lambda: png(tmp_path / "a.png")),
        tell("c.txt", ".d.png", "gone.PNG"),
        tell("b.png", after=lambda: png(tmp_path / "b.png")),
    ]
    events, _ = events_of(source, *moves)
    assert events == ["a.png", "missed", "b.png"]
    assert (source.missed, len(listings)) == (1, 1)


def test_a_notified_file_settles_before_the_next_interval(tmp_path, watched):
    source = FolderSource(tmp_path, poll=30, settle=1, notify=True)
    arrive = tell("a.png", after=lambda: png(tmp_path / "a.png"))
    events, world = events_of(source, arrive, *[tell()] * 60)
    assert events == ["a.png"]
    assert world.now < 5


def test_listings_of_a_share_that_notifies_nothing_keep_the_order(
    tmp_path, watched, monkeypatch
):
    """The first listing misses a file; the folder is listed again before the next one is read."""
    listed, looks = folder_module.list_folder, []

    def list_some(folder):
        listing = listed(folder)
        if not looks:
            del listing.pictures["a.png"]
        looks.append(World.now)
        return listing

    monkeypatch.setattr(folder_module, "list_folder", list_some)
    for name in ("a.png", "b.png"):
        os.utime(png(tmp_path / name), ns=(0, ord(name[0])))
    source = FolderSource(tmp_path, poll=30, settle=1, notify=True)
    events, world = events_of(source, *[tell()] * 90)
    assert events == ["a.png", "b.png"]
    assert world.now < 10


def test_a_file_that_was_read_is_not_missed_when_it_is_taken_away(
    tmp_path, watched
):
    picture = png(tmp_path / "a.png")
    source = FolderSource(tmp_path, poll=30, settle=0, notify=True)
    events, _ = events_of(source, tell("a.png", after=picture.unlink), tell())
    assert events == ["a.png"]
    assert source.missed == 0


def test_another_folder_at_the_path_is_watched_anew(tmp_path, watched):
    folder, aside = tmp_path / "in", tmp_path / "aside"
    folder.mkdir()

    def exchange():
        World.now += 30
        folder.rename(aside)
        folder.mkdir()

    def wait():
        World.now += 30

    source = FolderSource(folder, poll=30, settle=0, notify=True)
    moves = [tell(after=wait), tell(after=exchange), tell(after=wait)]
    assert events_of(source, *moves)[0] == []
    assert Moves.opened == 2


def test_an_interval_given_means_polling(tmp_path, watched):
    polled = open_source(str(tmp_path), SourceOptions(poll=1.0))
    events_of(polled, tell())
    assert (polled.poll, Moves.opened) == (1.0, 0)
    notified = open_source(str(tmp_path), SourceOptions())
    events_of(notified, tell(), tell())
    assert (notified.poll, Moves.opened) == (0.5, 1)


def test_a_renamed_file_is_read_long_before_the_next_listing(tmp_path):
    """With the real notifications of the system."""
    pytest.importorskip("watchfiles")
    folder, hidden = tmp_path / "in", tmp_path / ".a.png"
    folder.mkdir()
    png(hidden)
    source = FolderSource(folder, poll=300, settle=0, notify=True)
    stop, came = threading.Event(), threading.Event()
    names = []

    def read():
        for item in source.events(stop):
            names.append(short(item))
            came.set()

    reader = threading.Thread(target=read)
    reader.start()
    while source._watch is None:  # it is listed right after
        reader.join(0.01)
    hidden.rename(folder / "a.png")
    arrived = came.wait(60)
    stop.set()
    reader.join(60)
    assert arrived
    assert names == ["a.png"]
