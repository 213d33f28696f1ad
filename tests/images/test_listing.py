"""Folders of pictures: files that are listed, and files that are named as unreadable."""

import os
import stat
import subprocess
import sys

import pytest

from anomedge.errors import InputError
from anomedge.images import (
    Listing,
    joined_listing,
    list_pictures,
    read_folder,
    read_folders,
    read_normal,
    scan_folder,
)
from tests.images.folders import labels, put, refusing


def named(listing) -> list[str]:
    """Unreadable entries by their path in the folder."""
    return [
        line.split(": ")[0].removeprefix(f"{listing.folder}/")
        for line in listing.unreadable
    ]


def test_what_looks_like_a_picture_but_is_not_read_is_named(tmp_path):
    put(tmp_path, "a.png", "deep/b.PNG")
    for name in (
        "c.pgm",
        "d.ppm",
        "e.jp2",
        "f.RAW",
        "g.gif",
        "notes.txt",
        "table.csv",
        ".hidden.pgm",
    ):
        (tmp_path / name).write_bytes(b"")
    os.mkfifo(tmp_path / "h.png")
    (tmp_path / "i.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "j").symlink_to(tmp_path / "j")
    (tmp_path / "deep" / "k").symlink_to(tmp_path)
    (tmp_path / "l.png").symlink_to("/dev/zero")
    (tmp_path / "m.txt").symlink_to(tmp_path / "nowhere.txt")
    listing = scan_folder(tmp_path)
    assert [listing.name(path) for path in listing.pictures] == [
        "a.png",
        "deep/b.PNG",
    ]
    assert named(listing) == [
        "c.pgm",
        "d.ppm",
        "deep/k",
        "e.jp2",
        "f.RAW",
        "g.gif",
        "h.png",
        "i.png",
        "j",
        "l.png",
    ]
    with pytest.raises(
        InputError, match="10 of its pictures and folders cannot be read"
    ) as caught:
        list_pictures(tmp_path)
    assert (
        "c.pgm: pictures ending in .pgm are not read; convert it to PNG"
        in str(caught.value)
    )
    assert "i.png: a broken link" in str(caught.value)


def test_a_link_to_a_picture_is_one(tmp_path):
    put(tmp_path, "in/a.png", "out/b.png")
    (tmp_path / "in" / "c.png").symlink_to(tmp_path / "out" / "b.png")
    assert [path.name for path in list_pictures(tmp_path / "in")] == [
        "a.png",
        "c.png",
    ]


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    put(tmp_path, "a.png", "secret/b.png", "open/c.png")
    monkeypatch.setattr(
        os,
        "scandir",
        refusing(tmp_path / "secret", PermissionError(13, "Permission denied")),
    )
    listing = scan_folder(tmp_path)
    assert [path.name for path in listing.pictures] == ["a.png", "c.png"]
    assert listing.unreadable == [
        f"{tmp_path}/secret: the folder cannot be listed (Permission denied)"
    ]
    for reader in (
        list_pictures,
        read_folder,
        read_normal,
        lambda folder: read_folders([folder]),
    ):
        with pytest.raises(
            InputError, match="secret: the folder cannot be listed"
        ):
            reader(tmp_path)
    monkeypatch.setattr(
        os, "scandir", refusing(tmp_path, OSError(5, "Input/output error"))
    )
    with pytest.raises(
        InputError, match=r"cannot be listed \(Input/output error\)"
    ):
        scan_folder(tmp_path)


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0,
    reason="needs root, to become another user",
)
def test_permissions_of_another_user(tmp_path):
    put(tmp_path, "a.png", "secret/b.png", "names-only/c.png")
    tmp_path.chmod(0o755)
    (tmp_path / "secret").chmod(stat.S_IRWXU)
    (tmp_path / "names-only").chmod(0o744)
    code = """
import os, sys
from pathlib import Path
from anomedge.images import scan_folder
os.chdir(sys.argv[1])
os.setgid(65534)
os.setuid(65534)
listing = scan_folder(Path("."))
print([path.name for path in listing.pictures], *listing.unreadable, sep="|")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True
    )
    pictures, *unreadable = done.stdout.strip().split("|")
    assert pictures == "['a.png']", done.stderr
    assert unreadable == [
        "names-only/c.png: it cannot be read (Permission denied)",
        "secret: the folder cannot be listed (Permission denied)",
    ]


def test_masks_are_no_pictures_for_any_reader(tmp_path):
    put(
        tmp_path,
        "good/a.png",
        "good/b.png",
        "ground_truth/x/a_mask.png",
        "ground_truth/b.png",
    )
    wanted = {"good/a.png": False, "good/b.png": False}
    assert (
        labels(read_normal(tmp_path)) == labels(read_folder(tmp_path)) == wanted
    )
    assert [path.name for path in list_pictures(tmp_path)] == ["a.png", "b.png"]
    assert len(scan_folder(tmp_path).masks) == 2
    # Given itself, it is a folder like any other.
    assert len(list_pictures(tmp_path / "ground_truth")) == 2


def test_empty_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no picture"):
        list_pictures(tmp_path)
    with pytest.raises(InputError, match="expected a folder"):
        list_pictures(tmp_path / "missing")


def test_joined_listings_name_each_file_once(tmp_path):
    for name in ("a/x.png", "b/x.png", "b/ground_truth/x.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    one = Listing(tmp_path / "b", [tmp_path / "b" / "x.png"])
    folders = [scan_folder(tmp_path / name) for name in "ab"]
    joined = joined_listing([one, *folders])
    names = [joined.name(path) for path in joined.pictures]
    assert names == ["b/x.png", "a/x.png"]
    (mask,) = joined.masks
    assert joined.name(mask) == "b/ground_truth/x.png"
