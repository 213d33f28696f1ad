"""Folders that fill, hold half-written files, disappear and return."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from anomedge.errors import InputError
from anomedge.station.sources import folder as folder_module
from anomedge.station.sources.folder import FolderSource
from tests.station.sources.world import World, nothing, short


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
    content = png(tmp_path / "whole.tmp", grey=9).read_bytes()
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


def test_a_file_read_too_early_is_an_error_and_is_read_again_when_whole(
    tmp_path,
):
    content = png(tmp_path / "whole.tmp").read_bytes()
    target = tmp_path / "x.png"
    target.write_bytes(content[:40])
    moves = [
        nothing,
        nothing,
        lambda: target.write_bytes(content),
        nothing,
        nothing,
    ]
    assert events_of(FolderSource(tmp_path), *moves) == [
        ("unusable", "x.png"),
        "x.png",
    ]


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
    items = list(FolderSource(tmp_path).events(World(*[nothing] * 4)))
    assert reads == [1, 2]
    assert [(item.number, item.pixels.max()) for item in items] == [(1, 2)]


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
    assert events_of(FolderSource(folder), nothing, nothing) == ["H.PNG"]


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
    items = FolderSource(tmp_path).events(World(nothing, nothing, nothing))
    assert short(next(items)) == "a.png"
    (tmp_path / "b.png").unlink()
    rest = list(items)
    assert [short(item) for item in rest] == [("unusable", "b.png")]
    assert "taken away" in rest[0].message


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


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected a folder"):
        FolderSource(tmp_path / "no")


def test_a_removed_folder_never_ends_the_loop(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    assert events_of(
        FolderSource(folder), lambda: shutil.rmtree(folder), *[nothing] * 20
    ) == ["waiting"]
