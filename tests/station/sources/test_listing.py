"""The entries of a folder, and the order of names with numbers."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomedge.station.sources._listing import (
    Stamp,
    is_picture,
    list_folder,
    natural,
    stamp_of,
)


def test_pictures_have_stamps_and_all_other_entries_kinds(tmp_path):
    for name in ("a.PNG", "b.txt", "README", ".c.png", "~d.png", ".e"):
        (tmp_path / name).write_bytes(b"12345")
    os.utime(tmp_path / "a.PNG", ns=(0, 7))
    (tmp_path / "f.png").mkdir()
    (tmp_path / "g.png").symlink_to(tmp_path / "a.PNG")
    os.mkfifo(tmp_path / "h.png")
    found = list_folder(tmp_path)
    assert found.pictures == {"a.PNG": Stamp(7, 5)}
    assert found.others == {
        "b.txt": ".txt",
        "README": "file without a suffix",
        "f.png": "folder",
        "g.png": "link",
        "h.png": "special file",
    }


def test_a_missing_folder_is_an_error_and_a_missing_file_none(tmp_path):
    with pytest.raises(FileNotFoundError):
        list_folder(tmp_path / "no")
    assert stamp_of(tmp_path / "no") is None


def test_names_are_pictures_by_their_suffix_unless_hidden():
    names = ["a.tif", "a.JPEG", ".a.png", "~a.png", "png", "a.png.part"]
    assert [is_picture(name) for name in names] == [True, True, *[False] * 4]


@given(st.lists(st.text(max_size=6), max_size=6))
def test_any_names_can_be_ordered(names):
    assert sorted(sorted(names, key=natural)) == sorted(names)


def test_numbers_are_ordered_as_numbers():
    names = ["x10a", "x9b", "x9a", "x", "9", "10", "y1"]
    assert sorted(names, key=natural) == [
        "9", "10", "x", "x9a", "x9b", "x10a", "y1",
    ]  # fmt: skip
