"""One reader of data sets: labels, masks, kinds and splits of each layout; ambiguous ones are refused."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from anomedge.errors import InputError
from anomedge.images import (
    list_for_inspection,
    masks,
    read_data_set,
    read_folder,
    read_folders,
    read_normal,
    select_normal,
)
from anomedge.images.datasets import DATA_SETS, base
from tests.images.layouts import (
    LAYOUTS,
    btad,
    kolektor,
    magnetic_tile,
    mask,
    mvtec,
    photo,
    two_labels,
    visa,
)


def test_directory_is_the_registry():
    assert DATA_SETS.names() == [
        "beside",
        "folders",
        "list",
        "mvtec",
        "unlabelled",
        "visa",
    ]
    assert not DATA_SETS.faults()


@pytest.mark.parametrize("name", sorted(LAYOUTS.keys() - {"mvtec"}))
def test_each_layout_gives_its_normal_pictures(tmp_path, name):
    path = LAYOUTS[name](tmp_path / "set")
    selection = select_normal(path)
    assert len(selection.pictures) == 4
    assert not any(picture.anomalous for picture in selection.pictures)
    left_out = selection.left_out
    assert left_out.get("anomalous", left_out.get("of another split", 0)) >= 2


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_layout_gives_its_anomalous_pictures(tmp_path, name):
    path = LAYOUTS[name](tmp_path / "set")
    pictures = read_folder(path)
    anomalous = [picture for picture in pictures if picture.anomalous]
    assert len(anomalous) == 2
    assert all(picture.anomalous is not None for picture in pictures)
    if name in {"01", "ok-ng", "good-bad"}:
        assert not any(picture.mask_path for picture in pictures)
        return
    for picture in anomalous:
        found = picture.mask()
        assert found.shape == picture.frame().shape[:2] == (96, 128)
        assert found.sum() == 20 * 30
    names = [picture.name for picture in pictures]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", LAYOUTS)
def test_no_mask_is_a_picture_to_inspect(tmp_path, name):
    listing = list_for_inspection(LAYOUTS[name](tmp_path / "set"))
    names = [listing.name(path) for path in listing.pictures]
    assert len(names) >= 6
    assert not [name for name in names if "label" in name or "Masks" in name]
    if name in {"kolektor", "magnetic-tile", "btad"}:
        assert listing.masks


def test_mvtec_keeps_names_and_refusals(tmp_path):
    mvtec(tmp_path)
    pictures = read_folder(tmp_path)
    assert [picture.name for picture in pictures] == [
        "good/0.png",
        "good/1.png",
        "scratch/0.png",
        "scratch/1.png",
    ]
    assert [picture.kind for picture in pictures] == ["", "", *["scratch"] * 2]
    with pytest.raises(InputError, match="holds anomalous pictures"):
        read_normal(tmp_path)
    assert len(read_normal(tmp_path / "train")) == 4
    # Whoever names the label means the whole data set.
    selection = select_normal(tmp_path, "good")
    assert [picture.name for picture in selection.pictures] == [
        f"train/good/{i}.png" for i in range(4)
    ]
    assert selection.left_out == {"of another split": 4, "masks": 2}


def test_masks_of_the_pictures_stem_serve_mvtec_too(tmp_path):
    """As in VisA converted to the layout of MVTec AD."""
    photo(tmp_path / "test/good/0.png")
    photo(tmp_path / "test/bad/000.JPG")
    mask(tmp_path / "ground_truth/bad/000.png", level=1)
    (bad,) = [p for p in read_folder(tmp_path) if p.anomalous]
    assert bad.mask().sum() == 600


def test_the_case_of_ground_truth_does_not_matter(tmp_path):
    mvtec(tmp_path)
    (tmp_path / "ground_truth").rename(tmp_path / "Ground_Truth")
    masks = [p.mask_path for p in read_folder(tmp_path) if p.anomalous]
    assert None not in masks


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


def test_masks_beside_pictures_are_never_fitted_to(tmp_path):
    kolektor(tmp_path)
    selection = select_normal(tmp_path)
    assert [picture.name for picture in selection.pictures] == [
        f"kos{i:02}/Part0.jpg" for i in range(2, 6)
    ]
    assert selection.left_out == {"anomalous": 2, "masks": 6}
    assert all(p.mask_path.suffix == ".bmp" for p in selection.pictures)


def test_one_folder_of_magnetic_tile_is_labelled_by_its_masks(tmp_path):
    magnetic_tile(tmp_path)
    (tile,) = read_folder(tmp_path / "MT_Crack" / "Imgs")
    assert tile.anomalous
    with pytest.raises(InputError, match="1 anomalous pictures and no normal"):
        read_normal(tmp_path / "MT_Crack" / "Imgs")
    kinds = {picture.kind for picture in read_folder(tmp_path)}
    assert kinds == {"", "MT_Blowhole", "MT_Crack"}


def test_pictures_without_a_mask_among_others_are_refused_as_normal(tmp_path):
    kolektor(tmp_path)
    (tmp_path / "kos04/Part0_label.bmp").unlink()
    assert [p.anomalous for p in read_folder(tmp_path)].count(None) == 1
    with pytest.raises(InputError, match=r"1 without a label, kos04/Part0"):
        read_normal(tmp_path)


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


@pytest.mark.parametrize("names", [("good", "ok"), ("ok", "normal")])
def test_two_names_of_normal_pictures_are_ambiguous(tmp_path, names):
    two_labels(tmp_path, *names)
    with pytest.raises(InputError, match=r"each a name of normal pictures"):
        read_folder(tmp_path)
    assert len(read_normal(tmp_path, names[0])) == 4


def test_digits_are_labels_only_as_a_pair(tmp_path):
    two_labels(tmp_path, "0", "1")
    assert len(read_normal(tmp_path)) == 4
    photo(tmp_path / "2/a.png")
    assert {p.anomalous for p in read_folder(tmp_path)} == {None}


@pytest.mark.parametrize("name", ["ng", "part1/ng", "part1/defects"])
def test_folders_of_anomalous_pictures_are_refused_as_normal(tmp_path, name):
    two_labels(tmp_path, "part1/lamp", name)
    with pytest.raises(InputError, match="holds anomalous pictures"):
        read_normal(tmp_path)


@pytest.mark.parametrize("normal", ["ok", "OK", "normal", "Good"])
def test_labels_below_folders_are_refused_as_normal(tmp_path, normal):
    for line in ("line1", "line2"):
        two_labels(tmp_path / line, normal, "scratch")
    with pytest.raises(InputError, match="holds anomalous pictures"):
        read_normal(tmp_path)
    # Folders that hold nothing else are those of a normal data set.
    for line in ("line1", "line2"):
        shutil.rmtree(tmp_path / line / "scratch")
    assert len(read_normal(tmp_path)) == 8


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


def test_loose_pictures_beside_labels_have_none(tmp_path):
    two_labels(tmp_path, "ok", "ng")
    photo(tmp_path / "loose.png")
    assert read_folder(tmp_path)[0].anomalous is None
    with pytest.raises(InputError, match=r"1 without a label, loose\.png"):
        read_normal(tmp_path)


def test_visa_is_read_one_object_at_a_time(tmp_path):
    folder = visa(tmp_path)
    with pytest.raises(InputError, match="candle, pcb1; expected one of them"):
        read_folder(tmp_path)
    with pytest.raises(InputError, match=r"list of VisA; .*/candle"):
        read_folder(tmp_path / "split_csv/1cls.csv")
    pictures = read_folder(folder)
    assert [p.anomalous for p in pictures] == [False, False, True, True]
    selection = select_normal(folder)
    assert selection.left_out == {"of another split": 4, "masks": 2}
    # Without the splits, names of folders or the object's own list label them.
    shutil.rmtree(tmp_path / "split_csv")
    assert [p.anomalous for p in read_folder(folder)].count(True) == 2
    (folder / "image_anno.csv").write_text(
        "image,label,mask\n"
        "candle/Data/Images/Normal/0000.JPG,normal,\n"
        "candle/Data/Images/Anomaly/000.JPG,wax melded out,"
        "candle/Data/Masks/Anomaly/000.png\n"
    )
    pictures = read_folder(folder)
    assert [p.kind for p in pictures] == ["", "wax melded out"]


def test_visa_of_one_object_is_read_from_its_root(tmp_path):
    visa(tmp_path, objects=("candle",))
    assert len(read_folder(tmp_path)) == 4
