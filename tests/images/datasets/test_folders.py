"""Folders whose names are labels, and folders of splits."""

from dataclasses import replace

import pytest

from anomedge.errors import InputError
from anomedge.images import (
    read_data_set,
    read_folder,
    read_folders,
    read_normal,
    select_normal,
)
from tests.images.layouts import btad, mask, photo, two_labels


def test_splits_of_folders(tmp_path):
    btad(tmp_path)
    data = read_data_set(tmp_path)
    assert data.layout == "folders"
    assert [s.picture.name for s in data.samples if s.split == "test"] == [
        "test/ko/0000.bmp",
        "test/ko/0001.bmp",
        "test/ok/0000.bmp",
        "test/ok/0001.bmp",
    ]
    selection = select_normal(tmp_path)
    assert selection.left_out == {"of another split": 4, "masks": 2}
    test = select_normal(tmp_path, split="test")
    assert [picture.name for picture in test.pictures] == [
        "test/ok/0000.bmp",
        "test/ok/0001.bmp",
    ]
    assert test.left_out == {
        "of another split": 4,
        "anomalous": 2,
        "masks": 2,
    }


@pytest.mark.parametrize("normal", ["good", "ok"])
def test_normal_pictures_take_no_mask_of_a_defect(tmp_path, normal):
    """A mask `masks/0.png` belongs to `bad/0.png`, not to `good/0.png`."""
    for i in range(2):
        photo(tmp_path / normal / f"{i}.png")
        photo(tmp_path / "bad" / f"{i}.png")
        mask(tmp_path / "masks" / f"{i}.png")
    data = read_data_set(tmp_path)
    assert len(data.masks) == 2
    found = {s.picture.name: s.picture for s in data.samples}
    assert found["bad/0.png"].mask().sum() == 600
    assert found[f"{normal}/0.png"].mask_path is None
    stated = replace(found["bad/0.png"], anomalous=False)
    assert not stated.mask().any()


def test_known_names_of_normal_pictures(tmp_path):
    two_labels(tmp_path / "a", "OK", "scratch")
    assert [p.kind for p in read_folder(tmp_path / "a")] == [
        *[""] * 4,
        *["scratch"] * 2,
    ]
    two_labels(tmp_path / "b", "ok_front", "def_front")
    assert {p.anomalous for p in read_folder(tmp_path / "b")} == {None}
    assert len(read_normal(tmp_path / "b", "ok_front")) == 4
    assert len(read_folders([tmp_path / "b"], "OK-front")) == 6
    with pytest.raises(
        InputError, match="'x'; expected one of def_front, ok_front"
    ):
        read_folder(tmp_path / "b", "x")
    # A folder without subfolders may stand beside one with labels.
    assert len(read_normal(tmp_path / "b" / "ok_front", "ok_front")) == 4


def test_loose_pictures_are_in_no_split(tmp_path):
    two_labels(tmp_path / "test", "ok", "scratch")
    photo(tmp_path / "train/ok/0.png")
    photo(tmp_path / "preview.png")
    selection = select_normal(tmp_path)
    assert [p.name for p in selection.pictures] == ["train/ok/0.png"]
    assert selection.left_out == {
        "outside of the splits": 1,
        "of another split": 6,
    }
    assert len(read_folder(tmp_path)) == 6
    # As in KolektorSDD2.
    for split in ("train", "test"):
        photo(tmp_path / f"beside/{split}/0.png")
        mask(tmp_path / f"beside/{split}/0_GT.png", marked=False)
    photo(tmp_path / "beside/preview.png")
    assert select_normal(tmp_path / "beside").left_out == {
        "outside of the splits": 1,
        "of another split": 1,
        "masks": 2,
    }
