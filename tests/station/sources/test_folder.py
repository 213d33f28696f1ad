"""Folders that fill, hold half-written files, disappear and return."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from anomedge.errors import InputError
from anomedge.station.sources import Order, SourceOptions, open_source
from anomedge.station.sources import folder as folder_module
from anomedge.station.sources._listing import Stamp, stamp_of
from anomedge.station.sources._memory import Memory
from anomedge.station.sources.camera import CameraSource
from anomedge.station.sources.folder import FolderSource
from tests.station.sources.world import World, nothing, short


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Time passes only while a source waits."""
    monkeypatch.setattr(World, "now", 0.0)
    monkeypatch.setattr(folder_module, "monotonic", lambda: World.now)


def png(path, grey=0, when=None):
    Image.fromarray(np.full((4, 6, 3), grey, np.uint8)).save(path, format="PNG")
    if when is not None:
        os.utime(path, (when, when))
    return path


def events_of(source, *moves):
    """Short form of each event while the moves happen, one at each wait."""
    return [short(item) for item in source.events(World(*moves))]


def test_present_pictures_come_first_then_arriving_ones(tmp_path):
    png(tmp_path / "b.png", when=100)
    png(tmp_path / "a.png", when=200)
    png(tmp_path / "c.png", when=100)

    def arrive():
        png(tmp_path / "0.png", when=400)
        png(tmp_path / "1.png", when=300)

    source = FolderSource(tmp_path, poll=7)
    world = World(nothing, arrive, nothing, nothing)
    items = list(source.events(world))
    assert [item.name for item in items] == [
        "b.png",
        "c.png",
        "a.png",
        "1.png",
        "0.png",
    ]
    assert [item.number for item in items] == [1, 2, 3, 4, 5]
    assert items[0].path == tmp_path / "b.png"
    assert items[0].path.is_absolute()
    assert items[0].pixels.shape == (4, 6, 3)
    assert world.waits == [7] * 5


def test_a_file_is_read_when_it_has_stopped_growing(tmp_path):
    content = png(tmp_path / ".whole", grey=9).read_bytes()
    target = tmp_path / "part.png"
    seen = []

    def grow(to):
        def move():
            seen.append(to)
            target.write_bytes(content[:to])
            os.utime(target, (to, to))

        return move

    moves = [grow(10), grow(40), grow(len(content)), nothing]
    items = list(FolderSource(tmp_path).events(World(*moves)))
    assert seen == [10, 40, len(content)]
    assert [short(item) for item in items] == ["part.png"]
    assert items[0].pixels.max() == 9


def test_a_renamed_file_is_read_at_the_second_look(tmp_path):
    hidden = png(tmp_path / ".x.png")
    looks = []
    moves = [
        lambda: hidden.rename(tmp_path / "x.png"),
        lambda: looks.append("first"),
        lambda: looks.append("second"),
    ]
    items = FolderSource(tmp_path).events(World(*moves))
    assert short(next(items)) == "x.png"
    assert looks == ["first"]


@pytest.mark.parametrize("form", ["png", "jpeg", "bmp", "tiff", "webp"])
def test_a_file_that_stays_incomplete_is_unusable_and_read_again_when_whole(
    tmp_path, form
):
    hidden, target = tmp_path / ".whole", tmp_path / f"x.{form}"
    Image.new("RGB", (50, 40), "red").save(hidden, format=form)
    content = hidden.read_bytes()
    target.write_bytes(content[: len(content) * 2 // 3])
    begin = World.now
    moves = [
        *[nothing] * 40,
        lambda: target.write_bytes(content),
        nothing,
        nothing,
    ]
    items = FolderSource(tmp_path).events(World(*moves))
    early = next(items)
    assert short(early) == ("unusable", f"x.{form}")
    assert "is incomplete" in early.message
    assert "unchanged for 10 s" in early.message
    assert 10 <= World.now - begin <= 10.5
    assert [short(item) for item in items] == [f"x.{form}"]


def test_a_file_that_becomes_complete_in_time_is_read_once(tmp_path):
    content = png(tmp_path / ".whole", grey=9).read_bytes()
    target = tmp_path / "x.png"
    target.write_bytes(content[:40])
    moves = [*[nothing] * 15, lambda: target.write_bytes(content)]
    items = list(FolderSource(tmp_path).events(World(*moves, nothing, nothing)))
    assert [short(item) for item in items] == ["x.png"]
    assert items[0].pixels.max() == 9


def test_an_incomplete_file_holds_others_up_for_one_settle_time_only(tmp_path):
    whole = png(tmp_path / "b.png", when=2).read_bytes()
    (tmp_path / "a.png").write_bytes(whole[:40])
    os.utime(tmp_path / "a.png", (1, 1))
    source = FolderSource(tmp_path, poll=1, settle=2)
    items = source.events(World(*[nothing] * 20))
    assert (short(next(items)), World.now) == ("b.png", 4)
    assert (short(next(items)), World.now) == (("unusable", "a.png"), 10)


def test_a_file_that_never_settles_stops_no_other(tmp_path):
    """Its name comes first, so the others would have to wait for it."""
    png(tmp_path / "b.png")
    times = iter(range(1, 30))
    moves = [lambda: png(tmp_path / "a.png", when=next(times))] * 10
    source = FolderSource(tmp_path, poll=1, order=Order.NAME)
    assert events_of(source, *moves) == ["b.png"]


def test_settle_zero_takes_a_renamed_file_at_once_and_unchecked(tmp_path):
    png(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    world = World()
    items = FolderSource(tmp_path, settle=0).events(world)
    assert [short(next(items)), short(next(items))] == [
        "a.png",
        ("unusable", "b.png"),
    ]
    assert world.waits == []


def test_a_settle_time_shorter_than_the_interval_is_kept(tmp_path):
    png(tmp_path / "a.png")
    items = FolderSource(tmp_path, poll=60, settle=2).events(World(*[nothing]))
    assert (short(next(items)), World.now) == ("a.png", 2)


@pytest.mark.parametrize("order", Order)
def test_a_listing_that_misses_files_changes_no_order(
    tmp_path, monkeypatch, order
):
    """A listing while files come and go may leave out some of them: here a tenth, but never one twice in a row."""
    random, missed = np.random.default_rng(0), set()
    whole = png(tmp_path / ".whole").read_bytes()
    listed = folder_module.list_folder
    arrived = []

    def list_some(folder):
        listing = listed(folder)
        new = set(listing.pictures) - missed
        missed.clear()
        missed.update(name for name in sorted(new) if random.random() < 0.1)
        for name in missed:
            del listing.pictures[name]
        return listing

    def arrive():
        for _ in range(random.integers(0, 9)):
            name = f"{len(arrived)}.png"
            (tmp_path / name).write_bytes(whole)
            os.utime(tmp_path / name, ns=(0, 10**15 + len(arrived)))
            arrived.append(name)

    monkeypatch.setattr(folder_module, "list_folder", list_some)
    source = FolderSource(tmp_path, poll=1, settle=1, order=order)
    moves = [arrive] * 40 + [nothing] * 4
    assert events_of(source, *moves) == arrived
    assert source.missed == 0
    assert len(arrived) > 100


def test_a_notified_file_that_the_listing_misses_is_seen_at_once(
    tmp_path, monkeypatch
):
    """Files behind it that were listed would be read before it otherwise."""
    png(tmp_path / "a.png")
    png(tmp_path / "b.png")
    listed = folder_module.list_folder

    def list_some(folder):
        listing = listed(folder)
        listing.pictures.pop("a.png", None)
        return listing

    monkeypatch.setattr(folder_module, "list_folder", list_some)
    source = FolderSource(tmp_path)
    assert list(source._look_at_all({"a.png", "gone.png", "a.txt"})) == []
    assert source._arrivals.waiting == {"a.png", "b.png"}


def test_a_listing_that_misses_a_read_file_repeats_nothing(
    tmp_path, monkeypatch
):
    png(tmp_path / "a.png")
    png(tmp_path / "b.png")
    listed, looks = folder_module.list_folder, []

    def list_some(folder):
        listing = listed(folder)
        looks.append(len(looks))
        if looks[-1] == 3:
            del listing.pictures["a.png"]
        return listing

    monkeypatch.setattr(folder_module, "list_folder", list_some)
    assert events_of(FolderSource(tmp_path), *[nothing] * 8) == [
        "a.png",
        "b.png",
    ]
    assert len(looks) > 6


def test_order_by_name_takes_numbers_as_numbers(tmp_path):
    for when, name in enumerate(["p10.png", "p9.png", "p1.png"]):
        png(tmp_path / name, when=when + 1)
    names = ["p1.png", "p9.png", "p10.png"]
    assert events_of(FolderSource(tmp_path, order=Order.NAME), nothing) == names
    assert events_of(FolderSource(tmp_path), nothing) == names[::-1]


def test_a_file_rewritten_during_reading_is_read_later(tmp_path, monkeypatch):
    target = png(tmp_path / "x.png", grey=1, when=100)
    reads = []

    def read(path, **options):
        pixels = real(path)
        reads.append(int(pixels.max()))
        if len(reads) == 1:
            png(target, grey=2, when=200)
        return pixels

    real = folder_module.read_picture
    monkeypatch.setattr(folder_module, "read_picture", read)
    source = FolderSource(tmp_path)
    items = list(source.events(World(*[nothing] * 4)))
    assert reads == [1, 2]
    assert (short(items[0]), items[0].count, source.missed) == ("missed", 1, 1)
    assert "changed again" in items[0].message
    assert [(item.number, item.pixels.max()) for item in items[1:]] == [(1, 2)]


def test_a_rewritten_file_is_read_again_and_no_other(tmp_path):
    png(tmp_path / "a.png", when=1)
    png(tmp_path / "b.png", when=2)
    moves = [
        nothing,
        nothing,
        lambda: png(tmp_path / "a.png", when=3),
        nothing,
        nothing,
        nothing,
    ]
    assert events_of(FolderSource(tmp_path), *moves) == [
        "a.png",
        "b.png",
        "a.png",
    ]


def test_hidden_temporary_linked_and_other_files_are_skipped(tmp_path):
    outside = png(tmp_path / "outside.png")
    folder = tmp_path / "in"
    folder.mkdir()
    for name in (".a.png", "~b.png", "c.png.part", "d.txt"):
        png(folder / name)
    (folder / "e.png").mkdir()
    (folder / "f.png").symlink_to(outside)
    os.mkfifo(folder / "g.png")
    png(folder / "H.PNG")
    source = FolderSource(folder)
    items = list(source.events(World(nothing, nothing)))
    assert [short(item) for item in items] == ["ignored", "H.PNG"]
    assert (items[0].count, source.ignored) == (5, 5)
    for kind in (".part", ".txt", "folder", "link", "special file"):
        assert kind in items[0].message


def test_unreadable_pictures_are_unusable_frames(tmp_path):
    png(tmp_path / "a.png", when=1)
    (tmp_path / "b.png").write_bytes(b"no picture")
    os.utime(tmp_path / "b.png", (2, 2))
    png(tmp_path / "c.png", when=3)
    items = list(FolderSource(tmp_path).events(World(nothing, nothing)))
    assert [short(item) for item in items] == [
        "a.png",
        ("unusable", "b.png"),
        "c.png",
    ]
    assert [item.number for item in items] == [1, 2, 3]
    assert "cannot be read as a picture" in items[1].message


def test_a_picture_deleted_before_it_is_read_is_an_unusable_frame(tmp_path):
    png(tmp_path / "a.png", when=1)
    png(tmp_path / "b.png", when=2)
    source = FolderSource(tmp_path)
    items = source.events(World(nothing, nothing, nothing))
    assert short(next(items)) == "a.png"
    (tmp_path / "b.png").unlink()
    rest = list(items)
    assert [short(item) for item in rest] == [("unusable", "b.png")]
    assert "taken away" in rest[0].message
    assert source.missed == 1


def test_pictures_that_are_gone_before_they_settle_are_one_line_with_a_count(
    tmp_path,
):
    for name in "abcde":
        png(tmp_path / f"{name}.png")

    def take():
        for name in "abcd":
            (tmp_path / f"{name}.png").unlink()

    source = FolderSource(tmp_path)
    items = list(source.events(World(take, nothing, nothing)))
    assert [short(item) for item in items] == ["missed", "e.png"]
    assert (items[0].name, items[0].count, source.missed) == ("a.png", 4, 4)


def test_a_folder_emptied_before_its_pictures_are_read_is_told(tmp_path):
    picture = png(tmp_path / "a.png")
    source = FolderSource(tmp_path)
    assert events_of(source, picture.unlink, nothing) == ["missed"]
    assert source.missed == 1


def test_ignored_files_that_come_and_go_are_counted_and_told_once(tmp_path):
    def write(number):
        def move():
            for old in tmp_path.iterdir():
                old.unlink()
            (tmp_path / f"{number}.json").write_text("")

        return move

    source = FolderSource(tmp_path)
    assert events_of(source, *map(write, range(30))) == ["ignored"]
    assert source.ignored == 30


def test_a_lost_folder_is_waited_for_and_reported_once(tmp_path):
    folder, aside = tmp_path / "in", tmp_path / "aside"
    folder.mkdir()
    png(folder / "a.png", when=1)

    def back():
        aside.rename(folder)
        png(folder / "b.png", when=2)

    moves = [
        nothing,
        lambda: folder.rename(aside),
        nothing,
        nothing,
        back,
        nothing,
        nothing,
    ]
    assert events_of(FolderSource(folder), *moves) == [
        "a.png",
        "waiting",
        "resumed",
        "b.png",
    ]


def test_a_folder_that_vanishes_between_two_pictures_loses_none(tmp_path):
    folder, aside = tmp_path / "in", tmp_path / "aside"
    folder.mkdir()
    for when, name in enumerate(("a.png", "b.png", "c.png")):
        png(folder / name, when=when)
    items = FolderSource(folder).events(
        World(nothing, nothing, lambda: aside.rename(folder), nothing, nothing)
    )
    assert short(next(items)) == "a.png"
    folder.rename(aside)
    assert [short(item) for item in items] == [
        "waiting",
        "resumed",
        "b.png",
        "c.png",
    ]


def test_an_unmounted_drive_repeats_no_picture(tmp_path):
    folder, aside = tmp_path / "in", tmp_path / "aside"
    folder.mkdir()
    png(folder / "a.png")

    def unmount():
        folder.rename(aside)
        folder.mkdir()

    def mount():
        folder.rmdir()
        aside.rename(folder)

    moves = [nothing, unmount, nothing, mount, nothing, nothing]
    assert events_of(FolderSource(folder), *moves) == ["a.png"]


def test_memory_is_one_entry_per_file_in_the_folder(tmp_path):
    source = FolderSource(tmp_path)
    sizes = []

    def turn(number):
        def move():
            png(tmp_path / f"{number}.png", when=number)
            for old in sorted(tmp_path.iterdir())[:-2]:
                old.unlink()
            sizes.append(source.remembered)

        return move

    moves = [
        move for number in range(100, 160) for move in (turn(number), nothing)
    ]
    assert events_of(source, *moves) == [
        f"{number}.png" for number in range(100, 160)
    ]
    assert max(sizes) <= 3


def test_new_skips_pictures_present_at_the_start(tmp_path):
    png(tmp_path / "old.png", when=1)
    moves = [
        nothing,
        lambda: png(tmp_path / "new.png", when=0),
        nothing,
        nothing,
    ]
    assert events_of(FolderSource(tmp_path, only_new=True), *moves) == [
        "new.png"
    ]


def test_once_ends_when_the_first_listing_is_read(tmp_path):
    png(tmp_path / "a.png", when=1)
    (tmp_path / "b.png").write_bytes(b"no picture")
    world = World(lambda: png(tmp_path / "later.png"), *[nothing] * 5)
    assert [
        short(item) for item in FolderSource(tmp_path, once=True).events(world)
    ] == ["a.png", ("unusable", "b.png")]
    assert not world.is_set()
    empty = tmp_path / "empty"
    empty.mkdir()
    assert events_of(FolderSource(empty, once=True), nothing) == []


def test_names_that_are_not_unicode_are_read(tmp_path):
    try:
        png(tmp_path / os.fsdecode(b"\xff.png"))
    except OSError:
        pytest.skip("this file system takes Unicode only")
    assert events_of(FolderSource(tmp_path), nothing) == [
        os.fsdecode(b"\xff.png")
    ]


def test_a_missing_folder_is_refused_only_if_it_is_read_once(tmp_path):
    with pytest.raises(InputError, match="expected a folder"):
        FolderSource(tmp_path / "no", once=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="expected a folder"):
        FolderSource(tmp_path / "file")


@pytest.mark.parametrize("only_new", [False, True])
def test_a_folder_missing_at_the_start_is_waited_for(tmp_path, only_new):
    """Nothing was present at the start, so all its pictures are new."""
    folder = tmp_path / "in"

    def appear():
        folder.mkdir()
        png(folder / "a.png")

    source = open_source(str(folder), SourceOptions(poll=1, new=only_new))
    assert events_of(source, nothing, nothing, appear, nothing, nothing) == [
        "waiting",
        "resumed",
        "a.png",
    ]


def test_a_removed_folder_never_ends_the_loop(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    assert events_of(
        FolderSource(folder), lambda: shutil.rmtree(folder), *[nothing] * 20
    ) == ["waiting"]


class Notes(Memory):
    """A memory that knows files of an earlier run."""

    def __init__(self, **known):
        self.given, self.kept = known, []

    def known(self):
        return self.given

    def first_skip(self, present):
        return {} if self.given else present

    def keep_only(self, present):
        self.kept.append(set(present))


def test_files_of_an_earlier_run_are_not_read_again(tmp_path):
    for name in ("known", "overwritten", "new"):
        png(tmp_path / f"{name}.png")
    known = {"known.png": stamp_of(tmp_path / "known.png")}
    memory = Notes(**known, **{"overwritten.png": Stamp(1, 1)})
    for options in ({}, {"only_new": True}):
        source = FolderSource(tmp_path, poll=7, **options)
        source.remember(memory)
        items = list(source.events(World(nothing, nothing)))
        assert {item.name: item.stamp for item in items} == {
            name: stamp_of(tmp_path / name)
            for name in ("new.png", "overwritten.png")
        }


def test_the_memory_keeps_the_files_that_are_there(tmp_path):
    def empty():
        for path in tmp_path.iterdir():
            path.unlink()

    a, b = png(tmp_path / "a.png"), png(tmp_path / "b.png")
    memory = Notes()
    source = FolderSource(tmp_path, poll=7)
    source.remember(memory)
    list(source.events(World(nothing, a.unlink, empty, nothing)))
    # An empty folder may be an unmounted drive.
    assert memory.kept == [{a.name, b.name}] * 2 + [{b.name}]


def test_a_source_without_files_refuses_a_memory():
    with pytest.raises(InputError, match="got --state with camera0"):
        CameraSource("0").remember(Memory())


def test_a_folder_that_goes_while_it_is_listed_loses_no_file(
    tmp_path, monkeypatch
):
    """Looks by path would find the other files gone, and read them again."""
    folder, away = tmp_path / "in", tmp_path / "away"
    folder.mkdir()
    for name in "abc":
        png(folder / f"{name}.png")
    listed = folder_module.list_folder

    def list_and_lose(place):
        found = listed(place)
        if len(looks) == 2:
            del found.pictures["b.png"], found.pictures["c.png"]
            folder.rename(away)
        looks.append(place)
        return found

    looks = []
    monkeypatch.setattr(folder_module, "list_folder", list_and_lose)
    memory = Notes()
    source = FolderSource(folder, poll=7)
    source.remember(memory)
    back = [nothing, nothing, nothing, lambda: away.rename(folder), nothing]
    assert events_of(source, *back) == [
        *("a.png", "b.png", "c.png"),
        "waiting",
        "resumed",
    ]
    assert all(len(names) == 3 for names in memory.kept)
