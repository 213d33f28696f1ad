"""Folders of pictures: what is listed, what is named as unreadable, what is a mask, what is normal."""

import os
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomedge.errors import InputError
from anomedge.images import (
    list_pictures,
    read_folder,
    read_folders,
    read_normal,
    read_picture,
    scan_folder,
)

PIXELS = np.zeros((6, 9, 3), np.uint8)


def put(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PIXELS).save(root / name, format="PNG")
    return root


def named(listing) -> list[str]:
    """Unreadable entries by their path in the folder."""
    return [
        line.split(": ")[0].removeprefix(f"{listing.folder}/")
        for line in listing.unreadable
    ]


# --- what cannot be read is named ------------------------------------------------------------------------------------


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


def refusing(folder: Path, error: OSError):
    """`os.scandir` that cannot list one folder."""
    plain = os.scandir

    def scandir(path):
        if Path(path) == folder:
            raise error
        return plain(path)

    return scandir


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


def test_masks_that_cannot_be_listed_are_named(tmp_path, monkeypatch):
    put(
        tmp_path,
        "test/good/a.png",
        "test/scratch/b.png",
        "ground_truth/scratch/b_mask.png",
    )
    hidden = tmp_path / "ground_truth" / "scratch"
    monkeypatch.setattr(
        os,
        "scandir",
        refusing(hidden, PermissionError(13, "Permission denied")),
    )
    with pytest.raises(
        InputError, match="ground_truth/scratch: the folder cannot be listed"
    ):
        read_folder(tmp_path)


# --- nothing hangs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_plain_file_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "a.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    start = time.monotonic()
    with pytest.raises(InputError, match=r"a\.png"):
        read_picture(path)
    assert time.monotonic() - start < 2


def tiff_of(directories: int) -> bytes:
    """A TIFF with so many directories, each an image of one grey pixel."""
    tags = {
        256: 1,
        257: 1,
        258: 8,
        259: 1,
        262: 1,
        273: 8,
        277: 1,
        278: 1,
        279: 1,
    }
    entries = b"".join(
        struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items()
    )
    size = 2 + len(entries) + 4
    first = 12
    parts = [b"II*\0", struct.pack("<I", first), b"\x80\0\0\0"]
    for number in range(1, directories + 1):
        following = first + number * size if number < directories else 0
        parts.append(
            struct.pack("<H", len(tags))
            + entries
            + struct.pack("<I", following)
        )
    return b"".join(parts)


def test_a_tiff_of_sixty_thousand_directories_is_refused_at_once(tmp_path):
    (tmp_path / "one.tif").write_bytes(tiff_of(1))
    assert read_picture(tmp_path / "one.tif").tolist() == [[[128, 128, 128]]]
    (tmp_path / "many.tif").write_bytes(tiff_of(60_000))
    start = time.monotonic()
    with pytest.raises(InputError, match="got 100 or more frames in one file"):
        read_picture(tmp_path / "many.tif")
    assert time.monotonic() - start < 5


# --- one reader of labelled layouts ----------------------------------------------------------------------------------


def labels(pictures) -> dict[str, bool | None]:
    return {picture.name: picture.anomalous for picture in pictures}


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


@pytest.mark.parametrize(
    "names",
    [
        ["good/a.png", "good/b.png", "scratch/c.png"],
        ["a.png", "b.png", "ground_truth/c.png"],
        ["bottle/good/a.png", "bottle/scratch/b.png"],
        ["train/good/a.png", "test/good/b.png", "test/scratch/c.png"],
    ],
)
def test_anomalous_pictures_are_refused_as_normal_ones(tmp_path, names):
    put(tmp_path, *names)
    with pytest.raises(InputError, match="holds anomalous pictures"):
        read_normal(tmp_path)


def test_a_whole_data_set_is_no_folder_of_normal_pictures(tmp_path):
    put(tmp_path, "train/good/a.png", "test/good/b.png")
    with pytest.raises(InputError, match="holds a folder `test`"):
        read_normal(tmp_path)
    assert labels(read_normal(tmp_path / "train")) == {"good/a.png": False}


def test_names_that_are_not_utf_8_can_be_stored(tmp_path):
    Image.fromarray(PIXELS).save(
        tmp_path / os.fsdecode(b"\xff\xfe.png"), format="PNG"
    )
    (picture,) = read_folder(tmp_path)
    assert picture.name == "\\xff\\xfe.png"
    assert picture.frame().shape == (6, 9, 3)
