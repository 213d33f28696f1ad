"""Masks are told from pictures by name and content."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from anomedge.errors import InputError
from anomedge.images import (
    list_for_inspection,
    masks,
    read_data_set,
    read_folder,
    read_normal,
)
from anomedge.images.datasets import base
from tests.images.layouts import mask, photo


def test_pairs_of_colour_pictures_are_pictures(tmp_path):
    for i in range(3):
        photo(tmp_path / f"{i}.jpg")
        photo(tmp_path / f"{i}.png")
        photo(tmp_path / f"{i}0_mask.png")
    assert len(read_normal(tmp_path)) == 9
    # Neither of two drawings is the mask of the other.
    mask(tmp_path / "drawing.png")
    mask(tmp_path / "drawing.bmp")
    assert len(read_normal(tmp_path)) == 11


def test_folders_of_masks_hold_no_pictures(tmp_path):
    photo(tmp_path / "images/ng/a.jpg")
    mask(tmp_path / "masks/ng/a.png")
    mask(tmp_path / "masks/ng/of_no_picture.png")
    photo(tmp_path / "masks/photo.png")
    pictures = read_folder(tmp_path)
    assert [(p.name, p.anomalous) for p in pictures] == [
        ("images/ng/a.jpg", True),
        ("masks/photo.png", None),
    ]


def test_files_that_may_be_masks_are_decoded_once(tmp_path, monkeypatch):
    """By name, in the sample of a folder and in a pair of one stem; the folder of a test set is listed once."""
    opened, scanned = [], []
    examine, scan = masks.examine, base.scan_folder
    monkeypatch.setattr(
        masks, "examine", lambda path: opened.append(path) or examine(path)
    )
    monkeypatch.setattr(
        base, "scan_folder", lambda path: scanned.append(path) or scan(path)
    )
    for folder in ("good", "hole"):
        photo(tmp_path / folder / "0.jpg")
        mask(tmp_path / folder / "0.png")
        photo(tmp_path / folder / "1.png")
        mask(tmp_path / folder / "1_mask.png")
    assert read_data_set(tmp_path).layout == "mvtec"
    assert len(opened) == len(set(opened)) == 6
    assert scanned == [tmp_path]


def test_masks_are_told_by_their_levels(tmp_path):
    photo(tmp_path / "a.png")
    grey = np.full((96, 128), 250, np.uint8)
    grey[:, :64] = 3
    grey[:, 64] = 130  # a smoothed edge
    Image.fromarray(grey).save(tmp_path / "a.jpg", quality=90)
    (picture,) = read_folder(tmp_path)
    assert (picture.name, picture.anomalous) == ("a.png", True)
    assert picture.mask()[:, 70:].all()
    assert not picture.mask()[:, :60].any()


@pytest.mark.parametrize(
    "name", ["set/a_mask.png", "set/a_GT.png", "masks/a.png"]
)
def test_files_named_as_masks_are_no_pictures(tmp_path, name):
    """A mask with soft edges is neither fitted to nor inspected."""
    photo(tmp_path / "set/a.png")
    photo(tmp_path / "set/b.png")
    soft = Image.open(mask(tmp_path / name)).filter(ImageFilter.GaussianBlur(5))
    soft.save(tmp_path / name)
    for read in (read_folder, read_normal):
        with pytest.raises(InputError, match=rf"{name}: its name is that of a"):
            read(tmp_path)
    listing = list_for_inspection(tmp_path)
    assert len(listing.pictures) == 2
    assert len(listing.unreadable) == 1
    assert "mask of a.png" in listing.unreadable[0]
    # A file of such a name without its picture is a picture.
    (tmp_path / "set/a.png").unlink()
    assert len(read_folder(tmp_path)) == 2


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("level", [1, 255, 4095, 65535])
def test_masks_of_16_bits_are_read(tmp_path, level, suffix):
    deep = np.zeros((96, 128), np.uint16)
    deep[10:30, 20:50] = level
    photo(tmp_path / "a.png")
    Image.fromarray(deep).save(tmp_path / f"a_mask.{suffix}")
    (picture,) = read_folder(tmp_path)
    assert picture.anomalous
    assert picture.mask().sum() == 600


@pytest.mark.parametrize(
    "folder",
    ["labels", "Label", "GT", "groundtruth", "Ground Truth", "Annotations"],
)
def test_more_names_of_folders_of_masks(tmp_path, folder):
    for i in range(2):
        photo(tmp_path / f"set/images/{i}.png")
        mask(tmp_path / f"set/{folder}/{i}.png", marked=i > 0)
    pictures = read_folder(tmp_path / "set")
    assert [p.anomalous for p in pictures] == [False, True]
    # As in DAGM: pictures without defects have no mask.
    for i in range(2):
        photo(tmp_path / f"dagm/Train/{i}.png")
    mask(tmp_path / f"dagm/Train/{folder}/1_label.png")
    with pytest.raises(InputError, match="1 without a label"):
        read_normal(tmp_path / "dagm")
